/** KaTeX into DOM nodes: no markup string, no inline style attribute, no command that loads or links. */

import 'katex/dist/katex.min.css';
import katex from 'katex';

export function draw(tex: string, isDisplay: boolean): HTMLElement {
  const place = document.createElement('span');
  katex.render(tex, place, {
    displayMode: isDisplay,
    throwOnError: false,
    errorColor: 'inherit',
    trust: false,
    strict: 'ignore',
    maxExpand: 200,
    maxSize: 20,
    output: 'htmlAndMathml',
  });
  return place;
}
