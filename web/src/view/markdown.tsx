/** Markdown in the page: whole, or growing with a stream without a redraw of anything around it. */

import { useSignalEffect } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Live, Stream } from '../state/stream';
import { Growing } from '../text/growing';

function useGrowing() {
  const root = useRef<HTMLDivElement>(null);
  const growing = useRef<Growing | null>(null);
  useLayoutEffect(() => {
    growing.current = new Growing(root.current!);
    return () => growing.current?.close();
  }, []);
  return { root, growing };
}

export function Markdown({ text }: { text: string }) {
  const { root, growing } = useGrowing();
  useLayoutEffect(() => growing.current?.set(text, true), [text]);
  return <div class="prose" ref={root} />;
}

export function StreamedMarkdown({ stream, read }: { stream: Stream; read: (live: Live) => string }) {
  const { root, growing } = useGrowing();
  useSignalEffect(() => {
    void stream.version.value;
    growing.current?.set(read(stream.live), false);
  });
  return <div class="prose" ref={root} />;
}

/** Keeps a box at its end while its content grows, unless the reader scrolled up. */
export function useFollow<T extends HTMLElement>(isFollowing: boolean) {
  const box = useRef<T>(null);
  useEffect(() => {
    const at = box.current;
    if (!at || !isFollowing) return;
    let isPinned = true;
    const onScroll = (): void => {
      isPinned = at.scrollHeight - at.scrollTop - at.clientHeight < 40;
    };
    const observer = new ResizeObserver(() => {
      if (isPinned) at.scrollTop = at.scrollHeight;
    });
    for (const child of at.children) observer.observe(child);
    at.addEventListener('scroll', onScroll, { passive: true });
    return () => {
      observer.disconnect();
      at.removeEventListener('scroll', onScroll);
    };
  }, [isFollowing]);
  return box;
}
