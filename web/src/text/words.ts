/** What the page says of an answer, in words that need no manual. Never more certain than the evidence. */

import type { ClosedBy, Node, PathResult, Result, Verdict } from '../contract';

const CLOSED: Record<ClosedBy, string> = {
  natural: 'ended by itself',
  budget: 'cut at its budget',
  deadline: 'cut by its deadline',
  loop: 'was going in circles, so it was ended',
  converged: 'had settled on its answer, so it was ended',
  user: 'ended by you',
};
export const closedWords = (by: ClosedBy): string => CLOSED[by] ?? by;

export const number = (n: number): string => Math.round(n).toLocaleString('en');
export const seconds = (s: number): string => (s < 9.95 ? `${s.toFixed(1)} s` : s < 90 ? `${Math.round(s)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`);
export const plural = (n: number, one: string, many = `${one}s`): string => `${number(n)} ${n === 1 ? one : many}`;
export const short = (text: string, most = 60): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

export function bytes(n: number): string {
  return n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : n >= 1e6 ? `${Math.round(n / 1e6)} MB` : `${Math.max(1, Math.round(n / 1e3))} kB`;
}

export function when(moment: string, now = new Date()): string {
  const at = new Date(moment);
  const days = Math.floor((startOfDay(now) - startOfDay(at)) / 864e5);
  if (days <= 0) return 'Today';
  if (days === 1) return 'Yesterday';
  if (days < 7) return 'This week';
  return at.toLocaleDateString('en', at.getFullYear() === now.getFullYear() ? { month: 'long' } : { month: 'long', year: 'numeric' });
}
const startOfDay = (at: Date): number => new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();

export type Sureness = 'proven' | 'sure' | 'unsure' | 'refuted' | 'unchecked';

export interface Said {
  sureness: Sureness;
  /** Three words at most. */
  badge: string;
  /** One sentence with the evidence. */
  line: string;
}

export function verdictWords(result: Result): Said {
  const verdict = result.verdict;
  const n = result.paths.filter((path) => !path.is_cancelled).length;
  if (verdict.kind === 'vote' && n > 1) return voteWords(verdict, n, programsWords(result));
  if (verdict.kind === 'none' || (verdict.passed === null && n <= 1)) {
    const said = verdict.kind === 'none' || verdict.kind === 'vote' || !verdict.why;
    return { sureness: 'unchecked', badge: 'Not checked', line: said ? 'One answer, with nothing to compare it with.' : `${sentence(verdict.why)}.` };
  }
  const how = { math: 'Checked as mathematics', code: 'Checked by running it', schema: 'Checked against the schema' }[verdict.kind] ?? 'Checked';
  const why = sentence(verdict.why);
  if (verdict.passed === true) return { sureness: 'proven', badge: 'Checked, holds', line: `${how}: ${why}` };
  if (verdict.passed === false) return { sureness: 'refuted', badge: 'Checked, fails', line: `${how}: ${why}` };
  return { sureness: 'unsure', badge: 'Unsure', line: `Could not be checked: ${why}` };
}

/** How much of the largest class was computed: empty where nothing was. */
function programsWords({ paths, verdict }: Result): string {
  const first = paths.filter((path) => !path.is_cancelled && path.extracted !== null && path.extracted === verdict.extracted);
  const programs = first.filter((path) => path.kind === 'program').length;
  if (!programs) return '';
  return programs === first.length ? ' · only programs computed it, none said it in words' : ` · ${plural(programs, 'program')} computed it`;
}

function voteWords(verdict: Verdict, n: number, programs: string): Said {
  const first = verdict.votes[0]?.count ?? 0;
  const answer = verdict.extracted ? `: ${short(verdict.extracted)}` : '';
  const share = verdict.agreement ?? first / n;
  if (first <= 1) return { sureness: 'unsure', badge: 'Unsure', line: `The ${n} paths scatter: no two came to the same answer.` };
  const chance = verdict.probability == null ? '' : ` · about ${Math.round(verdict.probability * 100)} % likely right`;
  const line = `${first} of ${n} paths agree${answer}${chance}${programs}`;
  if (verdict.passed !== true) return { sureness: 'unsure', badge: 'Unsure', line: `Only ${line}. The others went elsewhere.` };
  const isHigh = verdict.probability == null ? share >= 0.85 : verdict.probability >= 0.9;
  if (isHigh) return { sureness: 'sure', badge: 'Quite sure', line: first === n ? `All ${n} paths agree${answer}${chance}${programs}` : line };
  return { sureness: 'sure', badge: 'Fairly sure', line };
}

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const sentence = (text: string): string => (text ? capital(text) : 'no reason was given');

/** What ended an answer before its own end (null: nothing). */
export function cutWords(result: Result): string | null {
  const why: Record<string, string> = {
    length: 'The answer was cut at its limit of tokens.',
    loop: 'The answer was going in circles, so it was ended.',
    deadline: 'The answer was cut by its deadline.',
  };
  return why[result.finish_reason] ?? null;
}

export function thoughtWords(result: Result): string {
  const own = decisive(result);
  const n = own?.usage.thinking_tokens ?? result.usage.thinking_tokens;
  return n === 0 ? 'Answered without thinking' : `Thought for ${plural(n, 'token')} · ${closedWords(own?.closed_by ?? result.closed_by)}`;
}

/** What ended each of several thoughts, in few words. */
const ENDED: Record<ClosedBy, string> = {
  natural: 'finished',
  budget: 'cut at the budget',
  deadline: 'cut by the deadline',
  loop: 'ended for going in circles',
  converged: 'had settled',
  user: 'ended by you',
};

export function pathsWords(paths: PathResult[]): string {
  if (paths.every((path) => path.usage.thinking_tokens === 0)) return `Answered ${number(paths.length)} times without thinking`;
  const ends = new Map<string, number>();
  for (const path of paths) {
    const end = path.is_cancelled ? 'not needed any more' : path.kind === 'program' ? 'wrote a program' : (ENDED[path.closed_by] ?? path.closed_by);
    ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  const said = [...ends].map(([end, n]) => `${n === paths.length ? 'all' : number(n)} ${end}`);
  return `Thought along ${plural(paths.length, 'path')}: ${said.join(', ')}`;
}

/** The path whose answer was taken: the first that gave it. */
function decisive(result: Result): PathResult | undefined {
  const { extracted } = result.verdict;
  return result.paths.find((path) => !path.is_cancelled && path.extracted === extracted) ?? result.paths[0];
}

export function spentWords(result: Result): string[] {
  const { usage, timing } = result;
  const n = usage.completion_tokens ?? usage.thinking_tokens + usage.answer_tokens + usage.probe_tokens + usage.discarded_tokens;
  const words = [plural(n, 'token'), seconds(timing.total_s), `${timing.tokens_per_s.toFixed(timing.tokens_per_s < 10 ? 1 : 0)} tokens/s`];
  if (usage.discarded_tokens > 0) words.push(`${number(usage.discarded_tokens)} discarded`);
  if (result.resumed) words.push(`went on after a restart, ${plural(result.resumed.tokens, 'token')} before it`);
  return words;
}

export function modelName(node: Node): string {
  const model = node.result?.model;
  return (typeof model === 'string' ? model : model?.name) ?? node.settings?.model ?? 'the default model';
}

export const EFFORTS = [
  ['auto', 'Auto'],
  ['none', 'Not at all'],
  ['low', 'A little'],
  ['medium', 'Some'],
  ['high', 'Hard'],
  ['max', 'As hard as it can'],
] as const;

export const CHECKS = [
  ['auto', 'Auto'],
  ['none', 'None'],
  ['math', 'As mathematics'],
  ['code', 'By running code'],
] as const;

/** The settings of an answer in a line, for comparing. */
export function settingsWords(node: Node): string {
  if (node.edited_from) return 'Edited by you';
  const { effort, budget, within_s, paths, programs, check, temperature } = node.settings ?? {};
  const words = [modelName(node)];
  if (effort && effort !== 'auto') words.push(effort === 'none' ? 'no thinking' : `${effort} effort`);
  if (budget != null) words.push(`${number(budget)} tokens of thought`);
  if (within_s != null) words.push(`within ${seconds(within_s)}`);
  if (paths != null) words.push(plural(paths, 'path'));
  if (programs) words.push(`${plural(programs, 'program')} among them`);
  if (check && check !== 'auto') words.push(check === 'none' ? 'no check' : `check: ${check}`);
  if (temperature != null) words.push(`temperature ${temperature}`);
  return words.join(' · ');
}
