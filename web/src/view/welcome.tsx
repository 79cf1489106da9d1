/** The first screen: what this is, how to read it, and three questions to begin with. */

import { ask } from '../state/conversation';
import { me } from '../state/me';
import { knobs } from '../state/preferences';
import type { Settings } from '../contract';

interface Example {
  question: string;
  shows: string;
  settings: Partial<Settings>;
}

const EXAMPLES: Example[] = [
  {
    question: 'A farmer has 17 sheep. All but 9 run away, then he buys twice as many as he has left. How many has he now?',
    shows: 'Four paths think side by side and vote',
    settings: { effort: 'medium', paths: 4 },
  },
  {
    question: 'Write a Python function that tells whether a word is a palindrome, ignoring case and spaces.',
    shows: 'Programs are run against each other',
    settings: { effort: 'auto', paths: 4, check: 'code' },
  },
  {
    question: 'Why is the sky blue, but red at sunset? Explain it to a ten-year-old.',
    shows: 'One thought, at most 300 tokens of it',
    settings: { effort: 'low', budget: 300, paths: 1 },
  },
];

export function Welcome() {
  const name = me.value?.user;
  return (
    <div class="welcome">
      <h1>{name && !me.value?.is_local ? `What shall we think about, ${name}?` : 'What shall we think about?'}</h1>
      <p class="lead">
        A model on {me.value?.is_local === false ? 'your own server' : 'this machine'} answers, and you see how. Its thought is bounded, its answer says how sure
        it is, and nothing you write leaves here.
      </p>
      <ul class="examples" aria-label="Questions to begin with">
        {EXAMPLES.map((example) => (
          <li key={example.question}>
            <button type="button" onClick={() => void ask({ content: example.question, files: [], settings: { ...knobs.value, ...example.settings } }, null)}>
              <span class="example-question">{example.question}</span>
              <span class="example-shows">{example.shows}</span>
            </button>
          </li>
        ))}
      </ul>
      <dl class="primer">
        <div>
          <dt>The thought</dt>
          <dd>streams in a pane of its own, measured against its budget. Too long? Press “Answer now”.</dd>
        </div>
        <div>
          <dt>The vote</dt>
          <dd>Several paths think independently. Where they agree, the answer is likelier right; where they scatter, you are told.</dd>
        </div>
        <div>
          <dt>The evidence</dt>
          <dd>stands under each answer: what was checked, what closed the thought, what it cost.</dd>
        </div>
      </dl>
    </div>
  );
}
