/** The two large libraries, fetched from the server when the first formula or program appears. */

export const loadHighlighter = (): Promise<typeof import('./highlight')> => import('./highlight');
export const loadKatex = (): Promise<typeof import('./katex')> => import('./katex');
