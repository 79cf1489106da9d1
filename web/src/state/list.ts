/** The conversations there are: searched, paged, renamed, and deleted with time to think again. */

import { computed, signal } from '@preact/signals';
import { get, patch, remove } from '../api';
import type { Heading } from '../contract';
import { heading, leave, renamed } from './conversation';
import { attempt, dismiss, notify } from './notices';
import { go, route } from './route';

const PAGE = 50;
const UNDO_MS = 6000;
const found = signal<Heading[]>([]);
const doomed = signal<ReadonlySet<string>>(new Set());
export const hasMore = signal(false);
export const query = signal('');
export const isListed = signal(false);
export const conversations = computed(() => found.value.filter((one) => !doomed.value.has(one.id)));
let asked = 0;

async function load(before: string | null): Promise<void> {
  const mine = ++asked;
  const params = new URLSearchParams({ limit: String(PAGE) });
  if (query.value.trim()) params.set('query', query.value.trim());
  if (before) params.set('before', before);
  const page = await get<{ conversations: Heading[]; more: boolean }>(`/api/conversations?${params}`);
  if (mine !== asked) return;
  found.value = before ? [...found.value, ...page.conversations] : page.conversations;
  hasMore.value = page.more;
  isListed.value = true;
  const open = page.conversations.find((one) => one.id === heading.value?.id);
  if (open) renamed(open.title);
}

/** Quiet: the list is looked up in the background, and a server that is away is told of elsewhere. */
export const refresh = (): Promise<void> => load(null).catch(() => undefined);
export const more = (): Promise<unknown> => attempt(() => load(found.value.at(-1)?.id ?? null));

/** To the top, before the server says so. */
export function lift(id: string): void {
  const one = found.value.find((known) => known.id === id);
  if (one) found.value = [one, ...found.value.filter((known) => known.id !== id)];
  void refresh();
}

let typing = 0;
export function search(text: string): void {
  query.value = text;
  clearTimeout(typing);
  typing = window.setTimeout(() => void attempt(() => load(null)), 120);
}

export async function rename(id: string, title: string): Promise<void> {
  const wanted = title.trim();
  if (!wanted) return;
  await attempt(() => patch(`/api/conversations/${encodeURIComponent(id)}`, { title: wanted }));
  found.value = found.value.map((one) => (one.id === id ? { ...one, title: wanted } : one));
  if (heading.value?.id === id) renamed(wanted);
}

/** Gone from sight at once, gone for good when the time to undo is over or the page closes. */
export function discard(id: string, title: string): void {
  const path = `/api/conversations/${encodeURIComponent(id)}`;
  doomed.value = new Set([...doomed.value, id]);
  const current = route.value;
  if ((current.at === 'chat' || current.at === 'compare') && current.id === id) {
    leave();
    go({ at: 'new' });
  }
  const finish = (): void => {
    removeEventListener('pagehide', now);
    void attempt(() => remove(path)).then(refresh);
  };
  const now = (): void => void fetch(path, { method: 'DELETE', keepalive: true });
  const timer = setTimeout(finish, UNDO_MS);
  addEventListener('pagehide', now);
  const undo = (): void => {
    clearTimeout(timer);
    removeEventListener('pagehide', now);
    doomed.value = new Set([...doomed.value].filter((one) => one !== id));
    dismiss(notice);
  };
  const notice = notify(`Deleted “${title}”.`, { action: { label: 'Undo', run: undo } }, UNDO_MS);
}
