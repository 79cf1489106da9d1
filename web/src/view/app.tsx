/** The page: the conversations at its side, and what is open beside them. */

import { useSignalEffect } from '@preact/signals';
import { heading, leave, open } from '../state/conversation';
import { isAway, isLocked } from '../state/me';
import { isSidebarOpen } from '../state/preferences';
import { route } from '../state/route';
import { Chat } from './chat';
import { Compare } from './compare';
import { Notices, Shortcuts, Spoken } from './dialogs';
import { IconButton } from './icons';
import { Login } from './login';
import { SettingsPage } from './settings';
import { isNarrow, Sidebar } from './sidebar';
import { TracePicture } from './trace';

export function App() {
  useSignalEffect(() => {
    const at = route.value;
    if (at.at === 'chat' || at.at === 'compare') void open(at.id);
    else if (at.at === 'new' && heading.peek()) leave();
  });
  useSignalEffect(() => {
    document.title = heading.value?.title ? `${heading.value.title} · bethink` : 'bethink';
  });
  if (isLocked.value) return <Login />;
  const at = route.value;
  return (
    <div class={`app ${isSidebarOpen.value ? 'has-sidebar' : ''}`} onKeyDown={(event) => event.key === 'Escape' && isNarrow() && (isSidebarOpen.value = false)}>
      <a class="skip" href="#content">
        To the content
      </a>
      {isSidebarOpen.value ? (
        <>
          <Sidebar />
          <div class="veil" onClick={() => (isSidebarOpen.value = false)} />
        </>
      ) : (
        <div class="show-sidebar">
          <IconButton icon="menu" label="Show the conversations" keys="Alt+B" onClick={() => (isSidebarOpen.value = true)} />
        </div>
      )}
      <main class="main" id="content" tabIndex={-1}>
        {isAway.value && (
          <p class="banner" role="status">
            The server does not answer. This page tries again by itself.
          </p>
        )}
        {at.at === 'settings' ? <SettingsPage tab={at.tab} /> : at.at === 'compare' ? <Compare id={at.id} node={at.node} /> : <Chat />}
      </main>
      <Notices />
      <Spoken />
      <Shortcuts />
      <TracePicture />
    </div>
  );
}
