/** The picture of an answer's thinking: each path over time, where it was forced, rolled back, cut; and the vote. */

import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { attempt } from '../state/notices';
import { IconButton } from './icons';

const shownTrace = signal<string | null>(null);
const addressOf = (id: string): string => `/api/traces/${encodeURIComponent(id)}/page`;

/** Old traces make room for new ones: whether it is still there is asked first. */
export async function showTrace(id: string): Promise<void> {
  await attempt(async () => {
    const { ok } = await fetch(addressOf(id), { method: 'HEAD' });
    if (!ok) throw new Error('The picture of this answer is gone: old ones make room for new ones.');
    shownTrace.value = id;
  });
}

export function TracePicture() {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = shownTrace.value;
  useEffect(() => {
    if (id) dialog.current?.showModal();
  }, [id]);
  if (!id) return null;
  const address = addressOf(id);
  return (
    <dialog class="wide" ref={dialog} aria-labelledby="trace-title" onClose={() => (shownTrace.value = null)}>
      <div class="sheet">
        <div class="row">
          <h2 id="trace-title" class="grow">
            How it thought
          </h2>
          <a href={address} target="_blank" rel="noopener">
            In a window of its own
          </a>
          <IconButton icon="close" label="Close" onClick={() => dialog.current?.close()} />
        </div>
        <iframe title="Picture of the thinking" src={address} sandbox="" />
      </div>
    </dialog>
  );
}
