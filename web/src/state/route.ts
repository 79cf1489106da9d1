/** Where the reader is, as the address bar says it. */

import { signal } from '@preact/signals';

export type Route =
  | { at: 'new' }
  | { at: 'chat'; id: string }
  | { at: 'compare'; id: string; node: string }
  | { at: 'settings'; tab: string };

export const route = signal<Route>(read(location.pathname));

function read(path: string): Route {
  const [first, second, third, fourth] = path.split('/').filter(Boolean).map(decodeURIComponent);
  if (first === 'c' && second && third === 'compare' && fourth) return { at: 'compare', id: second, node: fourth };
  if (first === 'c' && second) return { at: 'chat', id: second };
  if (first === 'settings') return { at: 'settings', tab: second ?? 'models' };
  return { at: 'new' };
}

export function pathOf(to: Route): string {
  if (to.at === 'chat') return `/c/${encodeURIComponent(to.id)}`;
  if (to.at === 'compare') return `/c/${encodeURIComponent(to.id)}/compare/${encodeURIComponent(to.node)}`;
  return to.at === 'settings' ? `/settings/${to.tab}` : '/';
}

export function go(to: Route, how: 'push' | 'replace' = 'push'): void {
  const path = pathOf(to);
  if (path !== location.pathname) history[how === 'push' ? 'pushState' : 'replaceState'](null, '', path);
  route.value = to;
}

addEventListener('popstate', () => {
  route.value = read(location.pathname);
});

/** For links: goes there without loading the page again, unless the reader wants a new tab. */
export function follow(to: Route): (event: MouseEvent) => void {
  return (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(to);
  };
}
