/** What rendered Markdown gets on top: code with its bar, formulas, safe links, tables that scroll by themselves. */

import { later } from './slices';
import { copyText, openPreview, canPreview } from './code';
import { loadHighlighter } from './lazy';
import { typeset } from './maths';

const MAX_HIGHLIGHTED = 20_000;

export function dress(fragment: DocumentFragment, isGrowing: boolean): void {
  for (const link of fragment.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer nofollow';
  }
  for (const table of fragment.querySelectorAll('table')) {
    const frame = document.createElement('div');
    frame.className = 'table';
    frame.tabIndex = 0;
    frame.setAttribute('role', 'group');
    frame.setAttribute('aria-label', 'Table');
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const place of fragment.querySelectorAll<HTMLElement>('.tex')) typeset(place);
  for (const code of fragment.querySelectorAll<HTMLElement>('pre > code')) bar(code, isGrowing);
}

function bar(code: HTMLElement, isGrowing: boolean): void {
  const language = /language-([\w+#.-]{1,30})/.exec(code.className)?.[1]?.toLowerCase() ?? '';
  const text = code.textContent ?? '';
  code.parentElement!.tabIndex = 0;
  code.parentElement!.setAttribute('role', 'group');
  code.parentElement!.setAttribute('aria-label', `Code${language ? `, ${language}` : ''}`);
  const figure = document.createElement('figure');
  figure.className = 'code';
  const caption = document.createElement('figcaption');
  const name = document.createElement('span');
  name.textContent = language || 'text';
  caption.append(name);
  if (!isGrowing) {
    if (canPreview(language, text)) caption.append(button('Preview', () => openPreview(figure, language, text)));
    const copy = button('Copy', () => void copyText(text).then(() => flash(copy)));
    caption.append(copy);
    if (language && text.length <= MAX_HIGHLIGHTED) later(() => void highlight(code, language, text));
  }
  code.parentElement!.replaceWith(figure);
  figure.append(caption, wrap(code));
}

function wrap(code: HTMLElement): HTMLElement {
  return code.parentElement as HTMLElement;
}

function button(label: string, act: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  made.addEventListener('click', act);
  return made;
}

function flash(copy: HTMLButtonElement): void {
  copy.textContent = 'Copied';
  setTimeout(() => (copy.textContent = 'Copy'), 1500);
}

async function highlight(code: HTMLElement, language: string, text: string): Promise<void> {
  const { coloured } = await loadHighlighter();
  const spans = coloured(text, language);
  if (spans) code.replaceChildren(spans);
}
