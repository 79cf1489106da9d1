/**
 * The conversation that is open: a tree of messages of which one branch is shown. Owns the tree, its streams, and what
 * the reader does to them.
 */

import { batch, computed, signal } from '@preact/signals';
import { ApiError, get, patch, post } from '../api';
import type { Conversation, Failure, FileRef, Heading, Node, Settings } from '../contract';
import { lift, refresh } from './list';
import { attempt, say } from './notices';
import { stated } from './preferences';
import { go } from './route';
import { Stream } from './stream';

export const heading = signal<Heading | null>(null);
export const nodes = signal<ReadonlyMap<string, Node>>(new Map());
export const leaf = signal<string | null>(null);
export const isMissing = signal(false);
export const isLoading = signal(false);
const streams = new Map<string, Stream>();

/** From the first message to the leaf. */
export const branch = computed<Node[]>(() => {
  const shown: Node[] = [];
  const seen = new Set<string>();
  for (let at = leaf.value; at !== null && !seen.has(at); ) {
    const node = nodes.value.get(at);
    if (!node) break;
    seen.add(at);
    shown.push(node);
    at = node.parent;
  }
  return shown.reverse();
});

const byParent = computed(() => {
  const children = new Map<string | null, Node[]>();
  for (const node of nodes.value.values()) {
    const siblings = children.get(node.parent);
    if (siblings) siblings.push(node);
    else children.set(node.parent, [node]);
  }
  for (const siblings of children.values()) siblings.sort((a, b) => a.created.localeCompare(b.created));
  return children;
});

export const childrenOf = (id: string | null): Node[] => byParent.value.get(id) ?? [];
export const siblingsOf = (node: Node): Node[] => childrenOf(node.parent).filter((one) => one.role === node.role);
export const isOpen = (node: Node): boolean => node.status === 'queued' || node.status === 'running';
export const streamOf = (id: string): Stream | undefined => streams.get(id);
export const running = computed(() => branch.value.filter(isOpen));

export function leave(): void {
  for (const stream of streams.values()) stream.close();
  streams.clear();
  batch(() => {
    heading.value = null;
    nodes.value = new Map();
    leaf.value = null;
    isMissing.value = false;
  });
}

export async function open(id: string): Promise<void> {
  if (heading.value?.id === id) return;
  leave();
  isLoading.value = true;
  try {
    const found = await get<Conversation>(`/api/conversations/${encodeURIComponent(id)}`);
    show(found);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) isMissing.value = true;
    else await attempt(() => Promise.reject(error));
  } finally {
    isLoading.value = false;
  }
}

function show(found: Conversation): void {
  const { nodes: all, leaf: last, ...about } = found;
  batch(() => {
    heading.value = about;
    nodes.value = new Map(all.map((node) => [node.id, node]));
    leaf.value = last ?? all.at(-1)?.id ?? null;
  });
  for (const node of all) if (isOpen(node)) watch(node);
}

function put(...changed: Node[]): void {
  const next = new Map(nodes.value);
  for (const node of changed) next.set(node.id, node);
  nodes.value = next;
}

function watch(node: Node): void {
  const id = heading.value?.id;
  if (!id || streams.has(node.id)) return;
  streams.set(node.id, new Stream(node, id, (finished, failure) => settle(node, finished, failure)));
}

function settle(node: Node, finished: Node | null, failure: Failure | null): void {
  streams.delete(node.id);
  put(finished ?? { ...node, status: 'failed', error: failure });
  say(failure || finished?.status === 'failed' ? 'The answer failed.' : finished?.status === 'stopped' ? 'Stopped.' : 'The answer is there.');
  void refresh();
}

export interface Question {
  content: string;
  files: FileRef[];
  settings: Settings;
  /** A second way to answer, shown beside the first. */
  other?: Settings | null;
}

/** Asks at the end of the shown branch, in a new conversation when none is open. */
export async function ask(question: Question, parent: string | null = leaf.value): Promise<boolean> {
  const done = await attempt(async () => {
    if (!heading.value) {
      const made = await post<Conversation>('/api/conversations', {});
      show({ ...made, nodes: [], leaf: null });
      go({ at: 'chat', id: made.id });
    }
    const id = heading.value!.id;
    const base = `/api/conversations/${encodeURIComponent(id)}`;
    const { user, assistant } = await post<{ user: Node; assistant: Node }>(`${base}/ask`, {
      parent,
      content: question.content,
      files: question.files.map((file) => file.id),
      settings: stated(question.settings),
    });
    take(user, assistant);
    say('Thinking.');
    if (question.other) {
      const again = { settings: stated(question.other) };
      const second = await post<{ assistant: Node }>(`${base}/nodes/${encodeURIComponent(user.id)}/again`, again);
      take(second.assistant);
      go({ at: 'compare', id, node: user.id });
    }
    lift(id);
    return true;
  });
  return done === true;
}

function take(...made: Node[]): void {
  batch(() => {
    put(...made);
    leaf.value = made.at(-1)!.id;
  });
  for (const node of made) if (isOpen(node)) watch(node);
}

/** Another answer to the same question. `thought` is one to go on from. */
export async function again(node: Node, settings: Partial<Settings> = {}, thought?: string): Promise<void> {
  await attempt(async () => {
    const path = `/api/conversations/${encodeURIComponent(heading.value!.id)}/nodes/${encodeURIComponent(node.id)}/again`;
    const { assistant } = await post<{ assistant: Node }>(path, thought === undefined ? { settings } : { settings, thought });
    take(assistant);
    say('Thinking.');
  });
}

/** The reader's own text in place of an answer's, on a branch of its own. */
export async function rewrite(node: Node, content: string): Promise<boolean> {
  const done = await attempt(async () => {
    const id = heading.value!.id;
    const path = `/api/conversations/${encodeURIComponent(id)}/nodes/${encodeURIComponent(node.id)}/edit`;
    const { assistant } = await post<{ assistant: Node }>(path, { content });
    if (heading.value?.id !== id) return true;
    batch(() => {
      put(assistant);
      leaf.value = newestBelow(assistant).id;
    });
    say('Your version is kept beside the answer.');
    lift(id);
    return true;
  });
  return done === true;
}

export const answerNow = (id: string): Promise<unknown> => attempt(() => post(`/api/nodes/${encodeURIComponent(id)}/answer_now`));
export const stop = (id: string): Promise<unknown> => attempt(() => post(`/api/nodes/${encodeURIComponent(id)}/stop`));

function newestBelow(node: Node): Node {
  let last = node;
  for (let below = childrenOf(last.id); below.length; below = childrenOf(last.id)) last = below.at(-1)!;
  return last;
}

/** Shows the branch on which `node` lies, down to its newest end. */
export async function showBranch(node: Node): Promise<void> {
  const last = newestBelow(node);
  leaf.value = last.id;
  await attempt(() => patch(`/api/conversations/${encodeURIComponent(heading.value!.id)}`, { leaf: last.id }));
}

export function renamed(title: string): void {
  if (heading.value) heading.value = { ...heading.value, title };
}
