/** Whether an element is close to what is shown. Far messages are plain text, so that thousands of them cost little. */

import { useEffect, useRef, useState } from 'preact/hooks';

const MARGIN = '1400px 0px';
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

export function useNear<T extends Element>(isAlways: boolean) {
  const element = useRef<T>(null);
  const [isNear, setNear] = useState(isAlways);
  useEffect(() => {
    const at = element.current;
    if (!at || isAlways) return;
    told.set(at, setNear);
    watcher().observe(at);
    return () => observer?.unobserve(at);
  }, [isAlways]);
  return { element, isNear: isNear || isAlways };
}
