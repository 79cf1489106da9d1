/** KaTeX into DOM nodes: no markup string, no inline style attribute, no command that loads or links. */

import 'katex/dist/katex.min.css';
import katex from 'katex';

/** What KaTeX does not understand stays as it was written. */
export function draw(tex: string, isDisplay: boolean): HTMLElement {
  const place = document.createElement('span');
  try {
    typeset(tex, place, isDisplay);
  } catch {
    place.textContent = tex;
  }
  return place;
}

function typeset(tex: string, place: HTMLElement, isDisplay: boolean): void {
  katex.render(tex, place, {
    displayMode: isDisplay,
    throwOnError: true,
    trust: false,
    strict: 'ignore',
    maxExpand: 200,
    maxSize: 20,
    output: 'htmlAndMathml',
  });
}
