/** Seconds and rate while an answer is made: told four times a second, aloud never. */

import { useEffect, useState } from 'preact/hooks';
import type { Stream } from '../state/stream';
import { number, seconds } from '../text/words';

export function Elapsed({ stream, withinS }: { stream: Stream; withinS: number | null }) {
  const [now, tick] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => tick(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  const { startedAt, firstTokenAt, paths } = stream.live;
  const elapsed = Math.max(0, (now - startedAt) / 1000);
  const tokens = paths.reduce((n, path) => n + path.n_thinking + path.n_answer, 0);
  const going = firstTokenAt ? (now - firstTokenAt) / 1000 : 0;
  const rate = going > 1 && tokens > 8 ? ` · ${number(tokens / going)} tokens/s` : '';
  const of = withinS ? ` of ${seconds(withinS)}` : '';
  return (
    <span class="elapsed" aria-hidden="true">
      {seconds(elapsed)}
      {of}
      {rate}
    </span>
  );
}
