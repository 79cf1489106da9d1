/** Where a question is written: text, dropped files, and how it is to be answered. */

import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { post } from '../api';
import type { FileRef } from '../contract';
import { ask, heading, running, stop } from '../state/conversation';
import { attempt } from '../state/notices';
import { drafts, knobs, otherKnobs } from '../state/preferences';
import { IconButton } from './icons';
import { Knobs } from './knobs';
import { Files } from './message';

const files = signal<FileRef[]>([]);
const reading = signal(0);
const isTwo = signal(false);
const isSending = signal(false);

const place = (): string => heading.value?.id ?? 'new';
const draft = (): string => drafts.value[place()] ?? '';

export function write(text: string): void {
  const { [place()]: _, ...others } = drafts.value;
  drafts.value = text ? { ...others, [place()]: text } : others;
}

export async function addFiles(list: Iterable<File>): Promise<void> {
  for (const file of list) {
    reading.value++;
    const form = new FormData();
    form.append('file', file);
    const read = await attempt(() => post<FileRef>('/api/files', form));
    reading.value--;
    if (read) files.value = [...files.value, read];
  }
}

async function send(): Promise<void> {
  const content = draft().trim();
  if (!content || isSending.value || reading.value || running.value.length) return;
  isSending.value = true;
  const was = place();
  const isDone = await ask({ content, files: files.value, settings: knobs.value, other: isTwo.value ? otherKnobs.value : null });
  isSending.value = false;
  if (!isDone) return;
  const { [was]: _, ...others } = drafts.value;
  drafts.value = others;
  files.value = [];
}

export function Composer() {
  const area = useRef<HTMLTextAreaElement>(null);
  const text = draft();
  const isBusy = running.value.length > 0;
  useEffect(() => {
    const at = area.current!;
    at.style.height = 'auto';
    at.style.height = `${Math.min(at.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(() => {
    const isTyping = document.activeElement?.matches('input, textarea');
    if (!isTyping && matchMedia('(hover: hover)').matches) area.current?.focus({ preventScroll: true });
  }, [heading.value?.id]);
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
      onPaste={(event) => {
        const pasted = event.clipboardData?.files;
        if (pasted?.length) void addFiles(pasted);
      }}
    >
      <Files files={files.value} onRemove={(id) => (files.value = files.value.filter((file) => file.id !== id))} />
      {reading.value > 0 && <p class="hint">Reading the file…</p>}
      <textarea
        id="question"
        ref={area}
        rows={1}
        value={text}
        placeholder="Ask anything"
        aria-label="Your question"
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void send();
        }}
      />
      <div class="composer-bar">
        <Knobs settings={knobs} name={isTwo.value ? 'A' : ''} />
        <div class="composer-buttons">
          <IconButton icon="columns" label="Ask two ways and compare" isPressed={isTwo.value} onClick={() => (isTwo.value = !isTwo.value)} />
          <IconButton icon="clip" label="Add a file" onClick={() => document.getElementById('files')!.click()} />
          {isBusy ? (
            <IconButton icon="stop" label="Stop" class="round" onClick={() => running.value.forEach((node) => void stop(node.id))} />
          ) : (
            <button type="submit" class="button bare round primary" aria-label="Ask" title="Ask (Enter)" disabled={!text.trim() || isSending.value || reading.value > 0}>
              <svg class="icon" width="18" height="18" viewBox="0 0 24 24" aria-hidden="true">
                <path d="M12 19V5M6 11l6-6 6 6" />
              </svg>
            </button>
          )}
        </div>
      </div>
      {isTwo.value && (
        <div class="composer-bar second">
          <Knobs settings={otherKnobs} name="B" />
        </div>
      )}
      <input
        id="files"
        type="file"
        multiple
        hidden
        onChange={(event) => {
          void addFiles([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = '';
        }}
      />
    </form>
  );
}
