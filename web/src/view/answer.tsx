/** An answer: on its way, there, stopped or failed. */

import type { Node, Result } from '../contract';
import { again, answerNow, isOpen, stop } from '../state/conversation';
import type { Stream } from '../state/stream';
import { cutWords, modelName, pathsWords, spentWords, thoughtWords, verdictWords } from '../text/words';
import { Elapsed } from './elapsed';
import { Icon } from './icons';
import { asFormula } from '../text/formula';
import { Markdown, StreamedMarkdown } from './markdown';
import { DoneThought, LiveThought } from './thought';
import { DoneVote, LiveVote } from './vote';

export function Answer({ node, stream }: { node: Node; stream: Stream | undefined }) {
  if (isOpen(node)) return stream ? <LiveAnswer node={node} stream={stream} /> : <p class="hint">Waiting for the server.</p>;
  return (
    <>
      <Thought node={node} />
      {node.content && <Markdown text={asFormula(node.content)} />}
      {node.status === 'stopped' && <p class="state">Stopped by you{node.content ? '' : ' before there was an answer'}.</p>}
      {node.status === 'done' && node.result && cutWords(node.result) && <p class="state">{cutWords(node.result)}</p>}
      <Notes notes={node.result?.notes} />
      {node.error && <Failed node={node} />}
      {node.edited_from ? <ByHand /> : node.result && <Evidence node={node} result={node.result} />}
    </>
  );
}

/** Instead of evidence: the model's was for its own text. */
function ByHand() {
  return (
    <p class="by-hand">
      <span class="badge">Edited by you</span>
      <span>This text is yours, not the model’s. Nobody checked it.</span>
    </p>
  );
}

function Notes({ notes }: { notes: string[] | null | undefined }) {
  return notes?.map((note) => (
    <p class="hint" key={note}>
      {note}
    </p>
  ));
}

function Thought({ node }: { node: Node }) {
  const result = node.result;
  if (result && result.paths.length > 1) return <DoneVote title={pathsWords(result.paths)} paths={result.paths} votes={result.verdict.votes} />;
  return node.thinking ? <DoneThought node={node} thinking={node.thinking} /> : null;
}

function LiveAnswer({ node, stream }: { node: Node; stream: Stream }) {
  void stream.version.value;
  const { paths, nPaths, notes } = stream.live;
  const isVote = (nPaths ?? 1) > 1 || paths.length > 1;
  const isThinking = paths.length === 0 || paths.some((path) => !path.is_done && path.phase === 'thinking');
  return (
    <>
      {isVote ? <LiveVote stream={stream} /> : <LiveThought stream={stream} />}
      {!isVote && paths[0]?.answer && <StreamedMarkdown stream={stream} read={(live) => live.paths[0]?.answer ?? ''} />}
      <Notes notes={notes} />
      {!stream.isConnected.value && (
        <p class="state is-away" role="status">
          The connection is gone. Coming back; nothing is lost.
        </p>
      )}
      <div class="row live">
        {isThinking && (
          <button type="button" class="button primary" aria-keyshortcuts="Alt+A" onClick={() => void answerNow(node.id)}>
            <Icon name="bolt" size={16} />
            <span>Answer now</span>
          </button>
        )}
        <button type="button" class="button" aria-keyshortcuts="Alt+S" onClick={() => void stop(node.id)}>
          <Icon name="stop" size={16} />
          <span>Stop</span>
        </button>
        <Elapsed stream={stream} withinS={node.settings?.within_s ?? null} />
      </div>
    </>
  );
}

function Failed({ node }: { node: Node }) {
  const { message, hint } = node.error!;
  return (
    <div class="failed" role="alert">
      <p>
        <strong>No answer.</strong> {message}
      </p>
      {hint && <p class="hint">{hint}</p>}
      <button type="button" class="button small" onClick={() => void again(node)}>
        <Icon name="again" size={15} />
        <span>Try again</span>
      </button>
    </div>
  );
}

function Evidence({ node, result }: { node: Node; result: Result }) {
  const said = verdictWords(result);
  const hasThought = result.paths.length <= 1 && !node.thinking;
  return (
    <div class="evidence">
      <p class={`verdict is-${said.sureness}`}>
        <span class="badge">{said.badge}</span>
        <span>{said.line}</span>
      </p>
      <p class="spent">
        {[modelName(node), ...spentWords(result), ...(hasThought ? [thoughtWords(result).toLowerCase()] : [])].join(' · ')}
      </p>
    </div>
  );
}
