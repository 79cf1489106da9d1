/** Copying code, and its preview in a frame that can reach neither this page nor any network. */

const PREVIEWS = new Set(['html', 'htm', 'svg', 'xml']);

export const canPreview = (language: string, text: string): boolean =>
  PREVIEWS.has(language) && /<(?:!doctype|html|body|svg|div|canvas|script|style|button|p|h1|main|section|form|table)\b/i.test(text);

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Plain HTTP on a company's network has no clipboard: the old way still works there.
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

/** A second click closes it. */
export function openPreview(figure: HTMLElement, language: string, text: string): void {
  const open = figure.querySelector('iframe');
  if (open) return open.remove();
  const frame = document.createElement('iframe');
  frame.title = `Preview of the ${language} above, without a network`;
  frame.setAttribute('sandbox', 'allow-scripts');
  frame.referrerPolicy = 'no-referrer';
  frame.src = '/preview';
  frame.addEventListener('load', () => frame.contentWindow?.postMessage({ html: text }, '*'), { once: true });
  figure.append(frame);
}
