/** Work that can wait, done in slices short enough for the page to stay smooth. */

const SLICE_MS = 6;
const waiting: (() => void)[] = [];
let isDue = false;

export function later(work: () => void): void {
  waiting.push(work);
  if (!isDue) {
    isDue = true;
    requestAnimationFrame(run);
  }
}

function run(): void {
  const end = performance.now() + SLICE_MS;
  do waiting.shift()?.();
  while (waiting.length && performance.now() < end);
  isDue = waiting.length > 0;
  if (isDue) requestAnimationFrame(run);
}
