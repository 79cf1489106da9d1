/** Short messages at the edge of the page, and what a screen reader is told. */

import { signal } from '@preact/signals';
import { ApiError } from '../api';

export interface Notice {
  id: number;
  text: string;
  hint?: string | null;
  action?: { label: string; run: () => void };
  isError: boolean;
}

const STAYS_MS = 6000;
let next = 1;
export const notices = signal<Notice[]>([]);
/** The last thing worth saying aloud: whole events, never a token. */
export const spoken = signal('');

export function notify(text: string, more: Partial<Omit<Notice, 'id' | 'text'>> = {}, staysMs = STAYS_MS): number {
  const notice: Notice = { id: next++, text, isError: false, ...more };
  notices.value = [...notices.value.slice(-3), notice];
  setTimeout(() => dismiss(notice.id), staysMs);
  return notice.id;
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

export function say(text: string): void {
  spoken.value = text;
}

/** Runs something the reader asked for; what goes wrong is told. */
export async function attempt<T>(doing: () => Promise<T>): Promise<T | undefined> {
  try {
    return await doing();
  } catch (error) {
    if (error instanceof ApiError) notify(error.failure.message, { hint: error.failure.hint, isError: true }, 9000);
    else notify(error instanceof Error ? error.message : String(error), { isError: true }, 9000);
    return undefined;
  }
}
