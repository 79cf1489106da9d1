/** What lies over the page: shortcuts, notices, and the words for a screen reader. */

import { notices, dismiss, spoken } from '../state/notices';
import { SHORTCUTS } from './shortcuts';
import { IconButton } from './icons';

export function showShortcuts(): void {
  const sheet = document.getElementById('shortcuts') as HTMLDialogElement | null;
  if (sheet && !sheet.open) sheet.showModal();
}

export function Shortcuts() {
  return (
    <dialog id="shortcuts" aria-labelledby="shortcuts-title" onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}>
      <div class="sheet">
        <div class="row">
          <h2 id="shortcuts-title" class="grow">
            Keyboard
          </h2>
          <IconButton icon="close" label="Close" onClick={() => (document.getElementById('shortcuts') as HTMLDialogElement).close()} />
        </div>
        <dl class="keys">
          {SHORTCUTS.map(([keys, what]) => (
            <div key={keys}>
              <dt>
                {keys.split(' ').map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      </div>
    </dialog>
  );
}

export function Notices() {
  return (
    <div class="notices">
      {notices.value.map((notice) => (
        <div key={notice.id} class={`notice ${notice.isError ? 'is-error' : ''}`} role={notice.isError ? 'alert' : 'status'}>
          <span class="grow">
            {notice.text}
            {notice.hint && <span class="notice-hint">{notice.hint}</span>}
          </span>
          {notice.action && (
            <button type="button" class="button small" onClick={notice.action.run}>
              {notice.action.label}
            </button>
          )}
          <IconButton icon="close" label="Dismiss" onClick={() => dismiss(notice.id)} />
        </div>
      ))}
    </div>
  );
}

export function Spoken() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {spoken.value}
    </div>
  );
}
