/** What this browser remembers: the theme, the drawer, the settings of the next question, unsent text. */

import { effect, signal, type Signal } from '@preact/signals';
import type { Settings } from '../contract';

function kept<T>(name: string, usual: T): Signal<T> {
  const key = `bethink.${name}`;
  let start = usual;
  try {
    const stored = localStorage.getItem(key);
    if (stored !== null) start = JSON.parse(stored) as T;
  } catch {
    // A browser that keeps nothing is served all the same.
  }
  const value = signal(start);
  effect(() => {
    try {
      localStorage.setItem(key, JSON.stringify(value.value));
    } catch {
      return;
    }
  });
  return value;
}

export type Theme = 'system' | 'light' | 'dark';
export const USUAL: Settings = {
  model: null,
  effort: 'auto',
  budget: null,
  within_s: null,
  paths: null,
  check: 'auto',
  temperature: null,
  system: null,
};

export const theme = kept<Theme>('theme', 'system');
export const isSidebarOpen = kept('sidebar', true);
export const knobs = kept<Settings>('knobs', USUAL);
export const otherKnobs = kept<Settings>('other-knobs', { ...USUAL, effort: 'none' });
export const drafts = kept<Record<string, string>>('drafts', {});

effect(() => {
  const chosen = theme.value;
  if (chosen === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = chosen;
});

/** What differs from doing nothing, which is all that is sent. */
export function stated(settings: Settings): Partial<Settings> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null)) as Partial<Settings>;
}
