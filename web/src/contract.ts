/** What the server says under `/api`, as TypeScript reads it. Moments are ISO 8601, times seconds. */

export type Effort = 'auto' | 'none' | 'low' | 'medium' | 'high' | 'max';
export type Check = 'auto' | 'none' | 'math' | 'code';
export type ClosedBy = 'natural' | 'budget' | 'deadline' | 'loop' | 'converged' | 'user';
export type Status = 'queued' | 'running' | 'done' | 'failed' | 'stopped';
export type Phase = 'thinking' | 'answer';

export interface Settings {
  model: string | null;
  effort: Effort;
  budget: number | null;
  within_s: number | null;
  paths: number | null;
  /** So many of the paths write a program that is run, and its value votes. */
  programs: number | null;
  check: Check;
  temperature: number | null;
  system: string | null;
}

export interface Me {
  user: string | null;
  workspace: string | null;
  is_local: boolean;
  is_admin: boolean;
  has_password: boolean;
  version: string;
  default_model: string | null;
  models: { name: string; is_loaded: boolean }[];
}

export interface FileRef {
  id: string;
  name: string;
  kind: string;
  chars: number;
  cut: string | null;
}

export interface Vote {
  answer: string;
  count: number;
}

export interface Verdict {
  kind: string;
  passed: boolean | null;
  extracted: string | null;
  why: string;
  agreement: number | null;
  probability?: number | null;
  votes: Vote[];
}

export interface Usage {
  prompt_tokens?: number;
  thinking_tokens: number;
  answer_tokens: number;
  probe_tokens: number;
  discarded_tokens: number;
  completion_tokens?: number;
}

export interface PathResult {
  index: number;
  kind?: 'prose' | 'program';
  thinking: string;
  answer: string;
  extracted: string | null;
  closed_by: ClosedBy;
  is_cancelled: boolean;
  passed?: boolean | null;
  why?: string;
  usage: Usage;
}

export interface Result {
  closed_by: ClosedBy;
  finish_reason: string;
  verdict: Verdict;
  usage: Usage;
  timing: { first_token_s: number | null; first_answer_token_s: number | null; total_s: number; tokens_per_s: number; load_s?: number };
  model: string | { name: string; sha256: string };
  engine: string;
  seed: number;
  trace_id: string;
  paths: PathResult[];
  /** What was done otherwise than was asked. */
  notes?: string[];
  /** What was spent before the server was killed; no other count holds it. */
  resumed?: { times: number; tokens: number; seconds: number } | null;
}

export interface Failure {
  code: string;
  message: string;
  hint: string | null;
}

export interface Node {
  id: string;
  parent: string | null;
  role: 'user' | 'assistant';
  content: string;
  thinking: string | null;
  files: FileRef[];
  status: Status;
  settings: Partial<Settings> | null;
  result: Result | null;
  error: Failure | null;
  /** The model's answer whose text a person changed into this one's. */
  edited_from: string | null;
  created: string;
}

export interface Heading {
  id: string;
  title: string;
  created: string;
  updated: string;
  model: string | null;
  n_turns: number;
  snippet?: string | null;
}

export interface Conversation extends Heading {
  leaf: string | null;
  nodes: Node[];
}

export interface ShownPath {
  index: number;
  phase: Phase;
  thinking: string;
  answer: string;
  n_thinking: number;
  n_answer: number;
  closed_by: ClosedBy | null;
  is_done: boolean;
  is_cancelled: boolean;
  extracted: string | null;
  passed: boolean | null;
}

export interface Start {
  prompt_tokens: number | null;
  budget: number | null;
  effort: Effort | null;
  notes: string[] | null;
}

export type StreamEvent =
  | ({ type: 'snapshot'; n_paths: number | null; paths: ShownPath[]; votes: Vote[]; n_running: number | null } & Start)
  | ({ type: 'started'; paths: number } & Start)
  | { type: 'delta'; path: number; phase: Phase; text: string; n_tokens: number }
  | { type: 'rolled_back'; path: number; keep_chars: number; cause: string }
  | { type: 'closed'; path: number; closed_by: ClosedBy; n_tokens: number }
  | {
      type: 'path';
      index: number;
      answer: string;
      extracted: string | null;
      is_cancelled: boolean;
      passed: boolean | null;
      votes: Vote[];
      n_running: number;
    }
  | { type: 'finished'; node: Node }
  | { type: 'failed'; error: Failure; node?: Node };

export interface ModelCard {
  name: string;
  /** A sentence about it. */
  title: string | null;
  is_pulled: boolean;
  is_loaded: boolean;
  fits: boolean;
  size_bytes: number | null;
  needs_bytes: number | null;
  available_bytes: number;
  licence: string | null;
  context_length: number | null;
}

export type JobEvent =
  | { type: 'progress'; stage: string; message: string; done_bytes?: number; total_bytes?: number | null }
  | { type: 'done'; name: string }
  | { type: 'failed'; error: Failure };

export interface Limits {
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  concurrency: number | null;
  tokens_per_month: number | null;
}

export interface Key {
  id: string;
  name: string;
  workspace: string;
  user: string | null;
  scopes: string[];
  /** Names or patterns; null: all. */
  models: string[] | null;
  limits: Limits;
  used_this_month: number;
  state: string;
  created: string;
  expires: string | null;
}

export interface User {
  id: string;
  name: string;
  n_keys: number;
  has_password: boolean;
}

export interface Workspace {
  id: string;
  name: string;
  limits: Limits;
  logs_content: boolean;
  created: string;
  used_this_month: number;
  users: User[];
}

export interface UsageRow {
  id: string;
  name: string;
  n_requests: number;
  input_tokens: number;
  thinking_tokens: number;
  answer_tokens: number;
  total_tokens: number;
  seconds: number;
  cost: string | null;
  n_unpriced: number;
}
