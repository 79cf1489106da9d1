/** An answer that is nothing but a formula, as a vote on values gives it: without any sign that it is one. */

const MOST = 300;

export function asFormula(text: string): string {
  const line = text.trim();
  const isOne = line.length <= MOST && /\\[a-zA-Z]+/.test(line) && !/[$`\n]|\\[()[\]]/.test(line);
  const hasWords = /[\p{L}]{3,}/u.test(line.replace(/\\[a-zA-Z]+|\\text\{[^}]*\}/g, ' '));
  return isOne && !hasWords ? `$${line}$` : text;
}
