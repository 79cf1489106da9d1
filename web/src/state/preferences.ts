/** What this browser remembers: the theme, the drawer, the settings of the next question, unsent text. A tab remembers for itself what is being edited in it. */

import { effect, signal, type Signal } from '@preact/signals';
import type { Settings } from '../contract';

function kept<T>(name: string, usual: T, place: () => Storage = () => localStorage): Signal<T> {
  const key = `bethink.${name}`;
  let start = usual;
  try {
    const stored = place().getItem(key);
    if (stored !== null) start = filled(JSON.parse(stored) as T, usual);
  } catch {
    // A browser that keeps nothing is served all the same.
  }
  const value = signal(start);
  effect(() => {
    try {
      place().setItem(key, JSON.stringify(value.value));
    } catch {
      return;
    }
  });
  return value;
}

/** What an older page kept lacks what came since. */
const filled = <T,>(stored: T, usual: T): T => (usual && typeof usual === 'object' ? { ...usual, ...stored } : stored);

export type Theme = 'system' | 'light' | 'dark';
export const USUAL: Settings = {
  model: null,
  effort: 'auto',
  budget: null,
  within_s: null,
  paths: null,
  programs: null,
  check: 'auto',
  temperature: null,
  system: null,
};

export const theme = kept<Theme>('theme', 'system');
export const isSidebarOpen = kept('sidebar', true);
export const knobs = kept<Settings>('knobs', USUAL);
export const otherKnobs = kept<Settings>('other-knobs', { ...USUAL, effort: 'none' });
export const drafts = kept<Record<string, string>>('drafts', {});
/** By message: the text that it is being changed to. */
export const edits = kept<Record<string, string>>('edits', {}, () => sessionStorage);

effect(() => {
  const chosen = theme.value;
  if (chosen === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = chosen;
});

/** Programs give values, so they go with the checks that compare values. */
export const mayHavePrograms = ({ check }: Settings): boolean => check === 'auto' || check === 'math';

/** As they are asked: without what does not go together. */
export const agreeing = (settings: Settings): Settings => (mayHavePrograms(settings) ? settings : { ...settings, programs: null });

/** What differs from doing nothing, which is all that is sent. */
export function stated(settings: Settings): Partial<Settings> {
  return Object.fromEntries(Object.entries(agreeing(settings)).filter(([, value]) => value !== null)) as Partial<Settings>;
}
