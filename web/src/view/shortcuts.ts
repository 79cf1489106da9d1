/** Every action by keyboard. What these keys do, buttons do as well. */

import { answerNow, running, stop } from '../state/conversation';
import { isSidebarOpen } from '../state/preferences';
import { go } from '../state/route';
import { showShortcuts } from './dialogs';
import { startNew } from './sidebar';

export const SHORTCUTS: [string, string][] = [
  ['/', 'Write a question'],
  ['Enter', 'Ask'],
  ['Shift Enter', 'New line'],
  ['Alt A', 'Answer now'],
  ['Alt S', 'Stop'],
  ['Alt T', 'Unfold or fold the newest thought'],
  ['j k', 'Next, previous message'],
  ['Ctrl Enter', 'Save what is being edited'],
  ['Escape', 'Leave it as it was'],
  ['Ctrl K', 'Search conversations'],
  ['Alt N', 'New conversation'],
  ['Alt B', 'Show or hide the conversations'],
  ['Alt ,', 'Settings'],
  ['?', 'This sheet'],
];

const WITH_ALT: Record<string, () => void> = {
  KeyA: () => running.value.forEach((node) => void answerNow(node.id)),
  KeyS: () => running.value.forEach((node) => void stop(node.id)),
  KeyT: foldThought,
  KeyN: startNew,
  KeyB: () => (isSidebarOpen.value = !isSidebarOpen.value),
  Comma: () => go({ at: 'settings', tab: 'models' }),
};

const ALONE: Record<string, () => void> = {
  '/': () => document.getElementById('question')?.focus(),
  '?': showShortcuts,
  j: () => step(1),
  k: () => step(-1),
};

export function listen(): void {
  addEventListener('keydown', (event) => {
    const act = actionOf(event);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function actionOf(event: KeyboardEvent): (() => void) | undefined {
  if (event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]')) return undefined;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === 'k') return focusSearch;
  if (event.altKey && !event.ctrlKey && !event.metaKey) return WITH_ALT[event.code];
  if (event.ctrlKey || event.metaKey || isWriting(event.target)) return undefined;
  return ALONE[event.key];
}

const isWriting = (target: EventTarget | null): boolean => target instanceof HTMLElement && /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName);

function focusSearch(): void {
  isSidebarOpen.value = true;
  requestAnimationFrame(() => document.getElementById('search')?.focus());
}

function foldThought(): void {
  [...document.querySelectorAll<HTMLButtonElement>('[data-fold]')].at(-1)?.click();
}

function step(by: number): void {
  const all = [...document.querySelectorAll<HTMLElement>('.message')];
  const here = all.findIndex((one) => one.contains(document.activeElement));
  const start = by > 0 ? -1 : all.length;
  const next = all[Math.max(0, Math.min(all.length - 1, (here < 0 ? start : here) + by))];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: 'start' });
}
