/** One message, which can be edited: a question, or an answer with its thought, its evidence and its cost. */

import { memo } from './memo';
import type { FileRef, Node } from '../contract';
import { again, ask, childrenOf, heading, isOpen, rewrite, showBranch, siblingsOf, streamOf } from '../state/conversation';
import { notify } from '../state/notices';
import { agreeing, knobs } from '../state/preferences';
import { go } from '../state/route';
import { copyText } from '../text/code';
import { number } from '../text/words';
import { Answer } from './answer';
import { EditButton, Editor, useIsEdited } from './editor';
import { showTrace } from './trace';
import { IconButton, Icon } from './icons';
import { useNear, useTurn } from './near';

/** Messages that the browser watches as one. */
export const STRETCH = 16;

/** Some messages in a row; those from `drawnFrom` on are drawn wherever the reader is. */
export const Stretch = memo(function Stretch({ nodes, drawnFrom }: { nodes: Node[]; drawnFrom: number }) {
  const { element, isNear } = useNear<HTMLDivElement>();
  return (
    <div class="stretch" ref={element}>
      {nodes.map((node, at) => (
        <Message key={node.id} node={node} isNear={isNear} isLast={at >= drawnFrom} />
      ))}
    </div>
  );
});

const Message = memo(function Message({ node, isNear, isLast }: { node: Node; isNear: boolean; isLast: boolean }) {
  const isDrawn = useTurn(isNear, isLast || isOpen(node));
  const who = node.role === 'user' ? 'You' : node.edited_from ? 'The model, edited by you' : 'The model';
  // Another element, not other content: the browser keeps the old layout, and with it the old content, of one it skips.
  return (
    <article key={isDrawn ? 'near' : 'far'} class={`message is-${node.role}`} tabIndex={-1} aria-label={who} data-node={node.id}>
      {!isDrawn ? <div class="far">{node.content}</div> : node.role === 'user' ? <Question node={node} /> : <FullAnswer node={node} />}
    </article>
  );
});

function Question({ node }: { node: Node }) {
  const answers = childrenOf(node.id).length;
  if (useIsEdited(node)) {
    return (
      <Editor
        node={node}
        label="The question"
        hint="The old question stays on a branch of its own."
        action="Ask"
        onSave={(content) => ask({ content, files: node.files, settings: knobs.value }, node.parent)}
      />
    );
  }
  return (
    <>
      <div class="bubble">
        <Files files={node.files} />
        {node.content}
      </div>
      <div class="actions">
        <Branches node={node} />
        {answers > 1 && <Beside node={node} n={answers} />}
        <EditButton node={node} label="Edit and ask again" />
        <IconButton icon="copy" label="Copy the question" onClick={() => void copy(node.content)} />
      </div>
    </>
  );
}

function FullAnswer({ node }: { node: Node }) {
  const question = node.parent;
  const answers = siblingsOf(node).length;
  if (useIsEdited(node) && !isOpen(node)) {
    return (
      <Editor
        node={node}
        label="The answer"
        hint="The old answer stays on a branch of its own. Yours goes without its thought and its evidence."
        action="Save"
        onSave={(content) => rewrite(node, content)}
      />
    );
  }
  return (
    <>
      <Answer node={node} stream={streamOf(node.id)} />
      {!isOpen(node) && (
        <div class="actions">
          <Branches node={node} />
          <IconButton icon="copy" label="Copy the answer" onClick={() => void copy(node.content)} />
          <EditButton node={node} label="Edit the answer" />
          <IconButton icon="again" label="Answer again" onClick={() => void again(node, fresh())} />
          {answers > 1 && question && <Beside node={{ ...node, id: question }} n={answers} />}
          {node.result?.trace_id && (
            <IconButton icon="trace" label="Picture of the thinking" onClick={() => void showTrace(node.result!.trace_id)} />
          )}
        </div>
      )}
    </>
  );
}

/** With what the bar below says now; the seed is drawn anew. */
const fresh = () => ({ ...agreeing(knobs.value), seed: null });

function Beside({ node, n }: { node: Node; n: number }) {
  const show = (): void => go({ at: 'compare', id: heading.value!.id, node: node.id });
  return <IconButton icon="columns" label={`Show the ${n} answers side by side`} onClick={show} />;
}

function Branches({ node }: { node: Node }) {
  const siblings = siblingsOf(node);
  if (siblings.length < 2) return null;
  const at = siblings.findIndex((one) => one.id === node.id);
  const step = (by: number): void => void showBranch(siblings[at + by]!);
  return (
    <span class="branches" role="group" aria-label={node.role === 'user' ? 'Versions of the question' : 'Answers'}>
      <IconButton icon="left" label="Previous version" onClick={() => step(-1)} isDisabled={at === 0} />
      <span aria-label={`Version ${at + 1} of ${siblings.length}`} role="img">
        {at + 1} / {siblings.length}
      </span>
      <IconButton icon="right" label="Next version" onClick={() => step(1)} isDisabled={at === siblings.length - 1} />
    </span>
  );
}

async function copy(text: string): Promise<void> {
  await copyText(text);
  notify('Copied.', {}, 1500);
}

export function Files({ files, onRemove }: { files: FileRef[]; onRemove?: (id: string) => void }) {
  if (!files.length) return null;
  return (
    <ul class="files">
      {files.map((file) => (
        <li key={file.id}>
          <Icon name="clip" size={14} />
          <span class="file-name">{file.name}</span>
          <span class="file-size">{number(file.chars)} characters</span>
          {file.cut && <span class="file-cut">{file.cut}</span>}
          {onRemove && <IconButton icon="close" label={`Remove ${file.name}`} onClick={() => onRemove(file.id)} />}
        </li>
      ))}
    </ul>
  );
}
