/** The answers to one question, side by side. */

import type { Node } from '../contract';
import { childrenOf, isLoading, nodes, showBranch, streamOf } from '../state/conversation';
import { go } from '../state/route';
import { settingsWords } from '../text/words';
import { Answer } from './answer';
import { IconButton } from './icons';
import { Files } from './message';

export function Compare({ id, node }: { id: string; node: string }) {
  const question = nodes.value.get(node);
  const answers = childrenOf(node);
  const back = (): void => go({ at: 'chat', id });
  return (
    <div class="chat">
      <header class="head">
        <IconButton icon="left" label="Back to the conversation" onClick={back} />
        <h1 class="head-title">Side by side</h1>
      </header>
      <div class="scroll">
        {question ? (
          <>
            <div class="bubble compare-question">
              <Files files={question.files} />
              {question.content}
            </div>
            <div class="columns" style={{ '--n': answers.length }} tabIndex={0} role="group" aria-label="Answers side by side">
              {answers.map((answer, at) => (
                <Column key={answer.id} answer={answer} name={String.fromCharCode(65 + (at % 26))} id={id} />
              ))}
            </div>
          </>
        ) : (
          !isLoading.value && <p class="hint">This question is not here.</p>
        )}
      </div>
    </div>
  );
}

function Column({ answer, name, id }: { answer: Node; name: string; id: string }) {
  const keep = (): void => {
    void showBranch(answer);
    go({ at: 'chat', id });
  };
  return (
    <section class="column" aria-label={`Answer ${name}`}>
      <header>
        <span class="knobs-name">{name}</span>
        <span class="grow">{settingsWords(answer)}</span>
      </header>
      <Answer node={answer} stream={streamOf(answer.id)} />
      <button type="button" class="button small" onClick={keep}>
        Go on with this one
      </button>
    </section>
  );
}
