/** All conversations, by day, with search. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Heading } from '../contract';
import { heading, leave } from '../state/conversation';
import { conversations, discard, hasMore, isListed, more, query, rename, search } from '../state/list';
import { logout, me } from '../state/me';
import { isSidebarOpen, theme, type Theme } from '../state/preferences';
import { follow, go, pathOf, route } from '../state/route';
import { when } from '../text/words';
import { showShortcuts } from './dialogs';
import { Icon, IconButton } from './icons';

export const isNarrow = (): boolean => matchMedia('(max-width: 800px)').matches;

export function startNew(): void {
  leave();
  go({ at: 'new' });
  if (isNarrow()) isSidebarOpen.value = false;
  document.getElementById('question')?.focus();
}

export function Sidebar() {
  return (
    <nav class="sidebar" aria-label="Conversations">
      <div class="sidebar-top">
        <a class="wordmark" href="/" onClick={(event) => (event.preventDefault(), startNew())}>
          be<em>think</em>
        </a>
        <IconButton icon="menu" label="Hide the conversations" keys="Alt+B" onClick={() => (isSidebarOpen.value = false)} />
      </div>
      <button type="button" class="button primary new" onClick={startNew} aria-keyshortcuts="Alt+N">
        <Icon name="plus" />
        <span>New conversation</span>
      </button>
      <div class="search">
        <Icon name="search" size={16} />
        <input
          id="search"
          type="search"
          placeholder="Search"
          aria-label="Search conversations"
          aria-keyshortcuts="Control+K"
          value={query.value}
          onInput={(event) => search(event.currentTarget.value)}
        />
      </div>
      <List />
      <div class="sidebar-foot">
        <a class="button bare" href="/settings/models" onClick={follow({ at: 'settings', tab: 'models' })} aria-label="Settings" title="Settings">
          <Icon name="gear" />
        </a>
        <ThemeButton />
        <IconButton icon="keys" label="Keyboard shortcuts" keys="?" onClick={showShortcuts} />
        <span class="grow" />
        {me.value && !me.value.is_local && (
          <button type="button" class="button small" onClick={() => void logout()}>
            Log out
          </button>
        )}
      </div>
    </nav>
  );
}

const THEMES: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

function ThemeButton() {
  return <IconButton icon="sun" label={`Theme: ${theme.value}. Change`} onClick={() => (theme.value = THEMES[theme.value])} />;
}

function List() {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting && hasMore.value) void more();
    });
    observer.observe(end.current!);
    return () => observer.disconnect();
  }, [conversations.value.length]);
  const groups = new Map<string, Heading[]>();
  for (const one of conversations.value) {
    const day = query.value ? 'Found' : when(one.updated);
    groups.set(day, [...(groups.get(day) ?? []), one]);
  }
  return (
    <div class="conversations" tabIndex={-1}>
      {isListed.value && !groups.size && <p class="hint">{query.value ? 'Nothing found.' : 'Your conversations will be here.'}</p>}
      {[...groups].map(([day, some]) => (
        <section key={day}>
          <h2>{day}</h2>
          <ul>
            {some.map((one) => (
              <Item key={one.id} one={one} />
            ))}
          </ul>
        </section>
      ))}
      <div ref={end} />
    </div>
  );
}

function Item({ one }: { one: Heading }) {
  const [draft, setDraft] = useState<string | null>(null);
  const at = route.value;
  const isHere = 'id' in at && at.id === one.id;
  if (draft !== null) return <Renaming one={one} draft={draft} setDraft={setDraft} />;
  const to = { at: 'chat', id: one.id } as const;
  return (
    <li class={`item ${isHere ? 'is-here' : ''}`}>
      <a
        href={pathOf(to)}
        aria-current={isHere ? 'page' : undefined}
        onClick={(event) => {
          follow(to)(event);
          if (isNarrow()) isSidebarOpen.value = false;
        }}
      >
        <span class="item-title">{heading.value?.id === one.id ? heading.value.title : one.title}</span>
        {query.value && one.snippet && <span class="item-snippet">{one.snippet}</span>}
      </a>
      <span class="item-actions">
        <IconButton icon="pen" label={`Rename ${one.title}`} onClick={() => setDraft(one.title)} />
        <IconButton icon="bin" label={`Delete ${one.title}`} onClick={() => discard(one.id, one.title)} />
      </span>
    </li>
  );
}

function Renaming({ one, draft, setDraft }: { one: Heading; draft: string; setDraft: (text: string | null) => void }) {
  const save = (): void => {
    if (draft.trim() && draft.trim() !== one.title) void rename(one.id, draft);
    setDraft(null);
  };
  return (
    <li class="item is-renaming">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <input
          aria-label={`New title of ${one.title}`}
          value={draft}
          maxLength={200}
          autoFocus
          onInput={(event) => setDraft(event.currentTarget.value)}
          onBlur={save}
          onKeyDown={(event) => event.key === 'Escape' && setDraft(null)}
        />
      </form>
    </li>
  );
}
