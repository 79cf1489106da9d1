/** Who is here, and what the server can run. */

import { signal } from '@preact/signals';
import { call, get, post, whenLocked } from '../api';
import type { Me } from '../contract';
import { refresh } from './list';
import { edits } from './preferences';

export const me = signal<Me | null>(null);
export const isLocked = signal(false);
export const isAway = signal(false);

whenLocked(() => {
  isLocked.value = true;
});

export async function load(): Promise<void> {
  try {
    me.value = await get<Me>('/api/me');
    isAway.value = isLocked.value = false;
  } catch {
    isAway.value = !isLocked.value;
    if (isAway.value) setTimeout(() => void load(), 2000);
  }
}

/** What a login is shown. */
export type Shown = { key: string } | { user: string; password: string; workspace: string };

export async function login(shown: Shown): Promise<void> {
  await call('POST', '/api/login', shown);
  await load();
  await refresh();
}

export async function logout(): Promise<void> {
  await post('/api/logout');
  edits.value = {};
  location.assign('/');
}
