/**
 * Markdown to DOM. A model's text is hostile until shown otherwise: raw HTML is text, pictures are never fetched, what
 * is left passes DOMPurify, and the page's policy stands behind both. Limits keep one block from freezing the page.
 */

import DOMPurify, { type Config } from 'dompurify';
import MarkdownIt, { type Token } from 'markdown-it';
import { tex } from '@mdit/plugin-tex';
import { dress } from './dress';

/** A block of prose longer than this is shown as plain text. */
const MAX_PROSE = 20_000;
/** Most pieces of inline markup in one block. */
const MAX_INLINE = 6_000;
const MAX_NESTING = 24;
const DEEP = /^(?:[ \t]*(?:>|[-*+]|\d{1,9}[.)])[ \t]*){30}/m;

const escape = (text: string): string => MarkdownIt().utils.escapeHtml(text);

const reader = new MarkdownIt({ html: false, linkify: true, breaks: false, typographer: false });
Object.assign(reader.options, { maxNesting: MAX_NESTING });
reader.linkify.set({ fuzzyEmail: false, fuzzyIP: false, fuzzyLink: false });
reader.validateLink = (url) => /^(?:https?:|mailto:)/i.test(url.trim());
reader.use(tex, {
  delimiters: 'all',
  render: (content: string, isDisplay: boolean) => `<span class="tex${isDisplay ? ' display' : ''}">${escape(content.trim())}</span>`,
});
// Many models box their result outside of any formula.
reader.inline.ruler.before('escape', 'boxed', (state, silent) => {
  const found = state.src.startsWith('\\boxed{', state.pos) && /^\\boxed\{(?:[^{}\n]|\{[^{}\n]*\}){1,400}\}/.exec(state.src.slice(state.pos, state.pos + 500));
  if (!found) return false;
  if (!silent) {
    const token = state.push('boxed', 'span', 0);
    token.content = found[0];
  }
  state.pos += found[0].length;
  return true;
});
reader.renderer.rules['boxed'] = (tokens, index) => `<span class="tex">${escape(tokens[index]!.content)}</span>`;
// A picture would be fetched, and its address can carry away what was said: it is shown as a link.
reader.renderer.rules['image'] = (tokens, index) => {
  const token = tokens[index]!;
  const address = token.attrGet('src') ?? '';
  return `<a class="picture" href="${escape(address)}">${escape(token.content || address)}</a>`;
};
// Alignment is a class, since the policy of the page allows no style in markup.
for (const cell of ['th_open', 'td_open'])
  reader.renderer.rules[cell] = (tokens, index, options, _, self) => {
    const token = tokens[index]!;
    const align = /center|right/.exec(token.attrGet('style') ?? '')?.[0];
    token.attrs = align ? [['class', align]] : null;
    return self.renderToken(tokens, index, options);
  };

const PURE: Config = {
  ALLOWED_TAGS: 'p br hr h1 h2 h3 h4 h5 h6 strong em s code pre blockquote ul ol li a table thead tbody tr th td span div'.split(' '),
  ALLOWED_ATTR: ['href', 'class', 'start'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

export interface Block {
  /** Characters from the beginning of the text that was split. */
  start: number;
  tokens: Token[];
  isFence: boolean;
}

/** The top-level blocks of a text. */
export function split(text: string): Block[] {
  if (DEEP.test(text)) return [{ start: 0, tokens: [], isFence: false }];
  const tokens = reader.parse(text, {});
  const lines = lineStarts(text);
  const blocks: Block[] = [];
  let depth = 0;
  for (const token of tokens) {
    if (depth === 0 && token.nesting >= 0)
      blocks.push({ start: lines[token.map?.[0] ?? 0] ?? 0, tokens: [], isFence: token.type === 'fence' });
    blocks.at(-1)?.tokens.push(token);
    depth += token.nesting;
  }
  return blocks;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** `source` is the block's own text. `isGrowing` leaves out what is only worth doing once. */
export function render(block: Block, source: string, isGrowing: boolean): DocumentFragment {
  const isSane = block.isFence || (source.length <= MAX_PROSE && inlines(block.tokens) <= MAX_INLINE);
  if (!isSane || block.tokens.length === 0) return plain(source);
  const html = reader.renderer.render(block.tokens, reader.options, {});
  const fragment = DOMPurify.sanitize(html, PURE) as unknown as DocumentFragment;
  dress(fragment, isGrowing);
  return fragment;
}

const inlines = (tokens: Token[]): number => tokens.reduce((n, token) => n + (token.children?.length ?? 0), tokens.length);

function plain(source: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const text = document.createElement('div');
  text.className = 'plain';
  text.textContent = source;
  fragment.append(text);
  return fragment;
}
