/**
 * A message being changed where it stands. What is being written belongs to the tab: it survives a reload, a look at
 * another branch, and an answer that could not be kept; it is gone when it is saved or cancelled.
 */

import { useComputed } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Node } from '../contract';
import { notify } from '../state/notices';
import { edits } from '../state/preferences';
import { IconButton } from './icons';

/** The message whose text box takes the keyboard when it is there. */
let opened: string | null = null;

function write(id: string, text: string | null): void {
  const { [id]: _, ...others } = edits.value;
  edits.value = text === null ? others : { ...others, [id]: text };
}

function open(id: string, text: string): void {
  opened = id;
  write(id, text);
}

export const useIsEdited = (node: Node): boolean => useComputed(() => node.id in edits.value).value;

export function EditButton({ node, label }: { node: Node; label: string }) {
  return <IconButton icon="pen" label={label} class="edits" onClick={() => open(node.id, node.content)} />;
}

interface EditorProps {
  node: Node;
  label: string;
  hint: string;
  action: string;
  /** Whether it was kept. */
  onSave: (text: string) => Promise<boolean>;
}

export function Editor({ node, label, hint, action, onSave }: EditorProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const text = useComputed(() => edits.value[node.id] ?? '').value;
  const [isSaving, setSaving] = useState(false);
  useEffect(() => {
    if (opened !== node.id) return;
    opened = null;
    const at = area.current!;
    if (node.role === 'assistant') at.setSelectionRange(0, 0); // it is long, and read from its beginning
    at.focus({ preventScroll: true });
    at.form!.scrollIntoView({ block: 'nearest' });
  }, []);

  const save = async (): Promise<void> => {
    if (!text.trim() || isSaving) return;
    if (node.role === 'assistant' && text === node.content) return cancel();
    setSaving(true);
    const isKept = await onSave(text);
    setSaving(false);
    if (!isKept) return;
    write(node.id, null);
    focusSoon('.message:last-child');
  };
  const cancel = (): void => {
    if (isSaving) return;
    write(node.id, null);
    focusSoon(`[data-node="${CSS.escape(node.id)}"] .edits`);
    if (text !== node.content) notify('Your change is gone.', { action: { label: 'Undo', run: () => open(node.id, text) } });
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={(event) => {
        if (event.isComposing) return;
        if (event.key === 'Escape') cancel();
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void save();
      }}
    >
      <textarea ref={area} aria-label={label} rows={4} value={text} onInput={(event) => write(node.id, event.currentTarget.value)} />
      <div class="row end">
        <span class="hint grow">{hint}</span>
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
        <button type="submit" class="button primary" aria-keyshortcuts="Control+Enter" disabled={!text.trim() || isSaving}>
          {action}
        </button>
      </div>
    </form>
  );
}

/** Whoever uses the keyboard goes on from there. */
function focusSoon(what: string): void {
  requestAnimationFrame(() => [...document.querySelectorAll<HTMLElement>(`.messages ${what}`)].at(-1)?.focus({ preventScroll: true }));
}
