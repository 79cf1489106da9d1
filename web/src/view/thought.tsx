/** The thought as a quiet pane: how long it is, what closed it, and the way to go on from another one. */

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useState } from 'preact/hooks';
import type { Node } from '../contract';
import { again } from '../state/conversation';
import type { Stream } from '../state/stream';
import { closedWords, number, plural, thoughtWords } from '../text/words';
import { Icon } from './icons';
import { Markdown, StreamedMarkdown, useFollow } from './markdown';

interface PaneProps {
  title: ComponentChildren;
  isOpen: boolean;
  onToggle: () => void;
  isBusy?: boolean;
  extra?: ComponentChildren;
  children: ComponentChildren;
}

export function Pane({ title, isOpen, onToggle, isBusy = false, extra, children }: PaneProps) {
  const id = useId();
  return (
    <section class={`thought ${isOpen ? 'is-open' : ''} ${isBusy ? 'is-busy' : ''}`}>
      <div class="thought-head">
        <button type="button" class="thought-fold" aria-expanded={isOpen} aria-controls={id} onClick={onToggle} data-fold>
          <span class="pulse" aria-hidden="true" />
          <span class="thought-title">{title}</span>
          <Icon name="down" size={16} />
        </button>
      </div>
      {extra}
      <div id={id} hidden={!isOpen}>
        {isOpen && children}
      </div>
    </section>
  );
}

/** How much of its budget a thought has used. */
export function Meter({ used, budget, label }: { used: number; budget: number | null; label: string }) {
  if (!budget) return null;
  const share = Math.min(1, used / budget);
  return (
    <div
      class={`meter ${share > 0.85 ? 'is-high' : ''}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={budget}
      aria-valuenow={Math.min(used, budget)}
      aria-valuetext={`${number(used)} of ${number(budget)} tokens`}
    >
      <div style={{ transform: `scaleX(${share})` }} />
    </div>
  );
}

/** One path's thought while it grows. It folds itself when the answer begins, unless the reader touched it. */
export function LiveThought({ stream }: { stream: Stream }) {
  void stream.version.value;
  const path = stream.live.paths[0];
  const isThinking = !path || path.phase === 'thinking';
  const [chosen, choose] = useState<boolean | null>(null);
  const isOpen = chosen ?? isThinking;
  const box = useFollow<HTMLDivElement>(isOpen);
  if (!isThinking && !path.thinking) return null;
  const used = path?.n_thinking ?? 0;
  const budget = stream.live.budget;
  const of = budget ? `${number(used)} of ${plural(budget, 'token')}` : plural(used, 'token');
  const title = isThinking ? (used ? `Thinking · ${of}` : waitingWords(stream)) : `Thought for ${plural(used, 'token')} · ${path.closed_by ? closedWords(path.closed_by) : 'closed'}`;
  return (
    <Pane
      title={title}
      isOpen={isOpen}
      onToggle={() => choose(!isOpen)}
      isBusy={isThinking}
      extra={isThinking ? <Meter used={used} budget={budget} label="Thought against its budget" /> : null}
    >
      <div class="thought-body" ref={box} tabIndex={0} role="group" aria-label="The thought">
        <StreamedMarkdown stream={stream} read={(live) => live.paths[0]?.thinking ?? ''} />
      </div>
    </Pane>
  );
}

const waitingWords = (stream: Stream): string => (stream.live.prompt_tokens === null ? 'Getting ready' : 'Reading the question');

/** A finished thought, which can be changed and gone on from. */
export function DoneThought({ node, thinking }: { node: Node; thinking: string }) {
  const [isOpen, setOpen] = useState(false);
  const [draft, setDraft] = useState<string | null>(null);
  useEffect(() => setDraft(null), [node.id]);
  const budget = node.settings?.budget ?? null;
  const title = node.result ? thoughtWords(node.result) : 'The thought';
  return (
    <Pane title={title} isOpen={isOpen} onToggle={() => setOpen(!isOpen)} extra={null}>
      {budget !== null && node.result && <Meter used={node.result.usage.thinking_tokens} budget={budget} label="Thought against its budget" />}
      {draft === null ? (
        <>
          <div class="thought-body" tabIndex={0} role="group" aria-label="The thought">
            <Markdown text={thinking} />
          </div>
          <div class="thought-foot">
            <button type="button" class="button small" onClick={() => setDraft(thinking)}>
              <Icon name="pen" size={15} />
              <span>Edit the thought and go on</span>
            </button>
          </div>
        </>
      ) : (
        <ThoughtEditor draft={draft} onChange={setDraft} onCancel={() => setDraft(null)} onDone={() => void again(node, {}, draft)} />
      )}
    </Pane>
  );
}

interface EditorProps {
  draft: string;
  onChange: (text: string) => void;
  onCancel: () => void;
  onDone: () => void;
}

function ThoughtEditor({ draft, onChange, onCancel, onDone }: EditorProps) {
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        onDone();
      }}
    >
      <label class="hint" for="thought-text">
        Cut it, correct it, add to it. The model goes on from your last word, in a new answer.
      </label>
      <textarea id="thought-text" rows={12} value={draft} onInput={(event) => onChange(event.currentTarget.value)} autoFocus />
      <div class="row end">
        <button type="button" class="button" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" class="button primary">
          Go on from here
        </button>
      </div>
    </form>
  );
}
