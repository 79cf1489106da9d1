/** The open conversation: its head, its messages, and the place for the next question. */

import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Node } from '../contract';
import { branch, heading, isLoading, isMissing } from '../state/conversation';
import { discard, rename } from '../state/list';
import { go } from '../state/route';
import { addFiles, Composer } from './composer';
import { Icon, IconButton } from './icons';
import { Stretch, STRETCH } from './message';
import { forgetWatcher } from './near';
import { Welcome } from './welcome';

const PINNED_PX = 90;
/** The newest messages, a screen of them, are drawn before anything is watched. */
const AT_ONCE = 8;

export function Chat() {
  const scroll = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const isPinned = useRef(true);
  const [isAway, setAway] = useState(false);
  const id = heading.value?.id;
  const shown = branch.value;
  const stretches = useStretches(shown);

  const look = (): void => {
    const at = scroll.current;
    if (!at) return;
    isPinned.current = at.scrollHeight - at.scrollTop - at.clientHeight < PINNED_PX;
    setAway(!isPinned.current);
  };
  useLayoutEffect(() => {
    forgetWatcher();
    isPinned.current = true;
    toEnd(scroll.current);
  }, [id]);
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (isPinned.current) toEnd(scroll.current);
      look(); // what shrinks may bring the end into sight without being scrolled
    });
    observer.observe(list.current!);
    observer.observe(scroll.current!);
    return () => observer.disconnect();
  }, []);
  const last = shown.at(-1)?.id;
  useLayoutEffect(() => {
    isPinned.current = true;
    toEnd(scroll.current);
  }, [last]);

  return (
    <div
      class="chat"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        if (event.dataTransfer?.files.length) void addFiles([...event.dataTransfer.files]);
      }}
    >
      {heading.value ? <Head /> : <div class="head is-empty" />}
      <div class="scroll" ref={scroll} onScroll={look}>
        <div class="messages" ref={list} role="log" aria-live="off" aria-label="Conversation">
          {isMissing.value && <Missing />}
          {!shown.length && !isMissing.value && !isLoading.value && <Welcome />}
          {stretches.map((nodes, at) => (
            <Stretch key={at} nodes={nodes} drawnFrom={Math.max(0, Math.min(nodes.length, shown.length - AT_ONCE - at * STRETCH))} />
          ))}
        </div>
      </div>
      <div class="dock">
        {isAway && shown.length > 0 && (
          <button type="button" class="button to-end" onClick={() => toEnd(scroll.current)}>
            <Icon name="down" size={16} />
            <span>Newest</span>
          </button>
        )}
        <Composer />
        <p class="small-print">A model can be wrong. Each answer says what was checked.</p>
      </div>
    </div>
  );
}

/** The same stretch as before where it holds the same messages, so that only what changed is drawn again. */
function useStretches(shown: Node[]): Node[][] {
  const before = useRef<Node[][]>([]);
  const now: Node[][] = [];
  for (let first = 0; first < shown.length; first += STRETCH) {
    const nodes = shown.slice(first, first + STRETCH);
    const old = before.current[now.length];
    const isSame = old?.length === nodes.length && nodes.every((node, at) => node === old[at]);
    now.push(isSame ? old! : nodes);
  }
  before.current = now;
  return now;
}

/** The first screen is read from its top. */
function toEnd(at: HTMLElement | null): void {
  if (at) at.scrollTop = branch.peek().length ? at.scrollHeight : 0;
}

function Missing() {
  return (
    <div class="welcome">
      <h1>This conversation is not here.</h1>
      <p>It was deleted, or it belongs to somebody else.</p>
      <button type="button" class="button primary" onClick={() => go({ at: 'new' })}>
        New conversation
      </button>
    </div>
  );
}

function Head() {
  const { id, title } = heading.value!;
  const draft = useSignal<string | null>(null);
  const save = (): void => {
    const wanted = draft.value;
    draft.value = null; // first: a field that goes away loses its focus, which saves once more
    if (wanted !== null && wanted.trim() !== title) void rename(id, wanted);
  };
  const file = (format: string): string => `/api/conversations/${encodeURIComponent(id)}/export?format=${format}`;
  return (
    <header class="head">
      {draft.value === null ? (
        <h1 class="head-title">
          <button type="button" onClick={() => (draft.value = title)} title="Rename" aria-label={`${title}. Rename`}>
            {title}
          </button>
        </h1>
      ) : (
        <form
          class="grow"
          onSubmit={(event) => {
            event.preventDefault();
            save();
          }}
        >
          <input
            class="head-input"
            aria-label="Title of the conversation"
            value={draft.value}
            maxLength={200}
            autoFocus
            onInput={(event) => (draft.value = event.currentTarget.value)}
            onBlur={save}
            onKeyDown={(event) => event.key === 'Escape' && (draft.value = null)}
          />
        </form>
      )}
      <details class="more">
        <summary class="button bare" aria-label="Export this conversation" title="Export">
          <Icon name="out" />
        </summary>
        <div class="more-panel menu">
          <a href={file('markdown')} download>
            As Markdown
          </a>
          <a href={file('json')} download>
            As JSON
          </a>
        </div>
      </details>
      <IconButton icon="bin" label="Delete this conversation" onClick={() => discard(id, title)} />
    </header>
  );
}
