/** Several paths and the vote among them: bars as they form, and each path to open. */

import { useState } from 'preact/hooks';
import type { PathResult, ShownPath, Vote } from '../contract';
import type { Stream } from '../state/stream';
import { closedWords, number, plural, short } from '../text/words';
import { Markdown, StreamedMarkdown, useFollow } from './markdown';
import { Meter, Pane } from './thought';

const SHOWN_CLASSES = 5;

export function VoteBars({ votes, nPaths, isFinal }: { votes: Vote[]; nPaths: number; isFinal: boolean }) {
  if (!votes.length) return isFinal ? null : <p class="hint votes-wait">No path has answered yet.</p>;
  const most = Math.max(nPaths, votes.reduce((n, vote) => n + vote.count, 0));
  const rest = votes.slice(SHOWN_CLASSES).reduce((n, vote) => n + vote.count, 0);
  return (
    <ol class="votes" aria-label={isFinal ? 'How the paths voted' : 'The vote so far'}>
      {votes.slice(0, SHOWN_CLASSES).map((vote, rank) => (
        <li key={vote.answer} class={rank === 0 ? 'is-first' : ''}>
          <span class="vote-answer" title={vote.answer}>
            {short(vote.answer, 40)}
          </span>
          <span class="vote-bar" aria-hidden="true">
            <span style={{ transform: `scaleX(${vote.count / most})` }} />
          </span>
          <span class="vote-count">
            {vote.count}
            <span class="unseen"> of {plural(most, 'path')}</span>
          </span>
        </li>
      ))}
      {rest > 0 && <li class="hint">and {plural(rest, 'other answer')}</li>}
    </ol>
  );
}

export function LiveVote({ stream }: { stream: Stream }) {
  void stream.version.value;
  const { paths, votes, nPaths, budget } = stream.live;
  const [isOpen, setOpen] = useState(true);
  const done = paths.filter((path) => path.is_done).length;
  const most = nPaths ?? paths.length;
  return (
    <Pane
      title={`Thinking along ${plural(paths.length, 'path')} · ${number(done)} of at most ${number(most)} answered`}
      isOpen={isOpen}
      onToggle={() => setOpen(!isOpen)}
      isBusy
      extra={<VoteBars votes={votes} nPaths={paths.length} isFinal={false} />}
    >
      <ul class="paths">
        {paths.map((path) => (
          <LivePath key={path.index} stream={stream} path={path} budget={budget} />
        ))}
      </ul>
    </Pane>
  );
}

function LivePath({ stream, path, budget }: { stream: Stream; path: ShownPath; budget: number | null }) {
  const [isOpen, setOpen] = useState(false);
  const box = useFollow<HTMLDivElement>(isOpen);
  const at = (live: Stream['live']): ShownPath | undefined => live.paths.find((one) => one.index === path.index);
  return (
    <PathRow
      index={path.index}
      state={liveState(path)}
      said={path.is_done ? (path.extracted ?? '') : lastLine(path.phase === 'thinking' ? path.thinking : path.answer)}
      isBusy={!path.is_done}
      isOpen={isOpen}
      onToggle={() => setOpen(!isOpen)}
      isCancelled={path.is_cancelled}
    >
      {!path.is_done && <Meter used={path.n_thinking} budget={budget} label={`Path ${path.index + 1} against its budget`} />}
      <div class="thought-body" ref={box} tabIndex={0} role="group" aria-label={`The thought of path ${path.index + 1}`}>
        <StreamedMarkdown stream={stream} read={(live) => at(live)?.thinking ?? ''} />
        <div class="path-answer">
          <StreamedMarkdown stream={stream} read={(live) => at(live)?.answer ?? ''} />
        </div>
      </div>
    </PathRow>
  );
}

function liveState(path: ShownPath): string {
  if (path.is_cancelled) return 'not needed any more';
  if (path.is_done) return 'answered';
  return path.phase === 'thinking' ? plural(path.n_thinking, 'token') : 'answering';
}

const lastLine = (text: string): string => {
  const tail = text.slice(-160).trimEnd();
  return tail.slice(tail.lastIndexOf('\n') + 1).slice(-90);
};

interface RowProps {
  index: number;
  state: string;
  said: string;
  isBusy: boolean;
  isOpen: boolean;
  isCancelled: boolean;
  onToggle: () => void;
  children: preact.ComponentChildren;
}

function PathRow({ index, state, said, isBusy, isOpen, isCancelled, onToggle, children }: RowProps) {
  return (
    <li class={`path ${isBusy ? 'is-busy' : ''} ${isCancelled ? 'is-cancelled' : ''}`}>
      <button type="button" class="path-head" aria-expanded={isOpen} onClick={onToggle}>
        <span class="pulse" aria-hidden="true" />
        <span class="path-name">Path {index + 1}</span>
        <span class="path-state">{state}</span>
        <span class="path-said">{said}</span>
      </button>
      {isOpen && <div class="path-more">{children}</div>}
    </li>
  );
}

/** The paths of a finished answer. */
export function DoneVote({ title, paths, votes }: { title: string; paths: PathResult[]; votes: Vote[] }) {
  const [isOpen, setOpen] = useState(false);
  const counted = paths.filter((path) => !path.is_cancelled).length;
  return (
    <Pane title={title} isOpen={isOpen} onToggle={() => setOpen(!isOpen)} extra={<VoteBars votes={votes} nPaths={counted} isFinal />}>
      <ul class="paths">
        {paths.map((path) => (
          <DonePath key={path.index} path={path} />
        ))}
      </ul>
    </Pane>
  );
}

function DonePath({ path }: { path: PathResult }) {
  const [isOpen, setOpen] = useState(false);
  const own = path.kind === 'program' ? (path.extracted === null ? 'a program, gave no value' : 'a program, run') : `${plural(path.usage.thinking_tokens, 'token')} · ${closedWords(path.closed_by)}`;
  const state = path.is_cancelled ? 'not needed any more' : own;
  const judged = path.passed === true ? ' · passed' : path.passed === false ? ' · failed' : '';
  return (
    <PathRow
      index={path.index}
      state={state + judged}
      said={path.extracted ?? ''}
      isBusy={false}
      isOpen={isOpen}
      isCancelled={path.is_cancelled}
      onToggle={() => setOpen(!isOpen)}
    >
      <div class="thought-body" tabIndex={0} role="group" aria-label={`The thought of path ${path.index + 1}`}>
        <Markdown text={path.thinking} />
        <div class="path-answer">
          <Markdown text={path.answer} />
        </div>
        {path.why && <p class="hint">{path.why}</p>}
      </div>
    </PathRow>
  );
}
