/** Formulas: drawn once each, in slices, and taken from memory while the text around them grows. */

import { later } from './slices';
import { loadKatex } from './lazy';

/** A longer formula is shown as it was written. */
const MAX_TEX = 1500;
const MAX_KEPT = 400;
const drawn = new Map<string, HTMLElement>();

export function typeset(place: HTMLElement): void {
  const tex = place.textContent ?? '';
  if (!tex || tex.length > MAX_TEX) return;
  const isDisplay = place.classList.contains('display');
  const key = `${isDisplay ? 'd' : 'i'}${tex}`;
  const kept = drawn.get(key);
  if (kept) return place.replaceChildren(kept.cloneNode(true));
  later(() => {
    void loadKatex().then(({ draw }) => {
      if (drawn.size >= MAX_KEPT) drawn.delete(drawn.keys().next().value!);
      const made = drawn.get(key) ?? draw(tex, isDisplay);
      drawn.set(key, made);
      place.replaceChildren(made.cloneNode(true));
    });
  });
}
