/**
 * Which messages are close to what is shown: those are drawn, far ones are plain text, so that thousands of them cost
 * little. What always holds: the browser watches stretches of messages, never each of them (watching 5,000 took 17 ms of
 * every frame that scrolled), and no frame draws more than a few.
 */

import { useEffect, useRef, useState } from 'preact/hooks';

const MARGIN = '1400px 0px';
/** Messages that change in one frame. */
const A_FRAME = 3;
const told = new WeakMap<Element, (isNear: boolean) => void>();
let observer: IntersectionObserver | null = null;

function watcher(): IntersectionObserver {
  observer ??= new IntersectionObserver(
    (entries) => {
      for (const entry of entries) told.get(entry.target)?.(entry.isIntersecting);
    },
    { rootMargin: MARGIN, root: document.querySelector('.scroll') },
  );
  return observer;
}

/** The scrolling box is new: what was watched in the old one is gone with it. */
export function forgetWatcher(): void {
  observer?.disconnect();
  observer = null;
}

/** Whether a stretch is close. */
export function useNear<T extends Element>() {
  const element = useRef<T>(null);
  const [isNear, setNear] = useState(false);
  useEffect(() => {
    const at = element.current;
    if (!at) return;
    told.set(at, setNear);
    watcher().observe(at);
    return () => observer?.unobserve(at);
  }, []);
  return { element, isNear };
}

const waiting = new Set<() => void>();
let frame = 0;

function letSome(): void {
  frame = 0;
  let n = A_FRAME;
  for (const change of waiting) {
    if (n-- === 0) break;
    waiting.delete(change);
    change();
  }
  if (waiting.size) frame = requestAnimationFrame(letSome);
}

/** The same, when it is this message's turn. `isAlways` waits for nobody. */
export function useTurn(isNear: boolean, isAlways: boolean): boolean {
  const [isDrawn, setDrawn] = useState(isAlways);
  useEffect(() => {
    if (isDrawn === isNear || isAlways) return;
    const change = (): void => setDrawn(isNear);
    waiting.add(change);
    frame ||= requestAnimationFrame(letSome);
    return () => void waiting.delete(change);
  }, [isNear, isAlways, isDrawn]);
  return isDrawn || isAlways;
}
