/**
 * Text that grows, as Markdown. What always holds: a block that is complete is never touched again, so that the work of a
 * frame depends on the last block, not on the length of the text; and no frame waits for more than one slice.
 */

import { render, split } from './markdown';

/** Text is taken in steps of so many characters, so that a long one arrives over several frames. */
const STEP = 8_000;
const SLICE_MS = 8;
/** An open block longer than this is taken as complete. */
const MAX_OPEN = 60_000;
/** A redraw that took t is followed by a pause of so many times t. */
const REST = 3;

export class Growing {
  private text = '';
  private isFinal = false;
  private taken = 0;
  private committed = 0;
  private frame = 0;
  private due = 0;
  private readonly tail = document.createElement('div');
  private openCode: { node: Text; length: number; start: number } | null = null;

  constructor(private readonly root: HTMLElement) {
    this.tail.className = 'tail';
    root.replaceChildren(this.tail);
  }

  set(text: string, isFinal: boolean): void {
    if (text === this.text && isFinal === this.isFinal) return;
    if (!text.startsWith(this.text.slice(0, this.committed))) this.reset();
    this.taken = Math.min(this.taken, text.length);
    this.text = text;
    this.isFinal = isFinal;
    if (!this.frame) this.step(performance.now());
  }

  close(): void {
    cancelAnimationFrame(this.frame);
  }

  private reset(): void {
    this.committed = this.taken = 0;
    this.openCode = null;
    this.tail.replaceChildren();
    this.root.replaceChildren(this.tail);
  }

  private step = (now: number): void => {
    this.frame = 0;
    if (now < this.due && !this.isFinal) return this.again();
    const begin = performance.now();
    do {
      this.taken = Math.min(this.text.length, this.taken + STEP);
      this.draw(this.isFinal && this.taken === this.text.length);
    } while (this.taken < this.text.length && performance.now() - begin < SLICE_MS);
    this.due = performance.now() + REST * (performance.now() - begin);
    if (this.taken < this.text.length) this.again();
  };

  private again(): void {
    this.frame = requestAnimationFrame(this.step);
  }

  private draw(isLast: boolean): void {
    const rest = this.text.slice(this.committed, this.taken);
    const blocks = split(rest);
    const open = blocks.at(-1);
    const isWhole = isLast || (open !== undefined && rest.length - open.start > MAX_OPEN);
    for (const [at, block] of blocks.entries()) {
      if (block === open && !isWhole) break;
      const end = blocks[at + 1]?.start ?? rest.length;
      this.tail.before(render(block, rest.slice(block.start, end), false));
    }
    if (isWhole || !open) {
      this.committed = isWhole ? this.taken : this.committed;
      this.openCode = null;
      return this.tail.replaceChildren();
    }
    this.committed += open.start;
    const source = rest.slice(open.start);
    const content = open.isFence ? open.tokens[0]!.content : null;
    if (content !== null && this.openCode?.start === this.committed && content.length >= this.openCode.length) {
      this.openCode.node.appendData(content.slice(this.openCode.length));
      this.openCode.length = content.length;
      return;
    }
    this.tail.replaceChildren(render(open, source, true));
    const node = content !== null ? this.tail.querySelector('code')?.firstChild : null;
    this.openCode = node instanceof Text ? { node, length: content!.length, start: this.committed } : null;
  }
}
