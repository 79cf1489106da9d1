/** The one way to the server: JSON in, JSON out, and errors that say what to do. */

import type { Failure } from './contract';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly failure: Failure,
  ) {
    super(failure.message);
  }
}

/** Whether nothing answered at all: the network or the server is away. */
export const isAway = (error: unknown): boolean => error instanceof ApiError && error.status === 0;

const AWAY: Failure = { code: 'away', message: 'The server does not answer.', hint: 'Is `bethink serve` running?' };

let onLocked: () => void = () => undefined;
/** What happens when the server asks for a login. */
export function whenLocked(then: () => void): void {
  onLocked = then;
}

export async function call<T>(method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<T> {
  const isForm = body instanceof FormData;
  const headers = body === undefined || isForm ? {} : { 'content-type': 'application/json' };
  const sent = body === undefined ? null : isForm ? body : JSON.stringify(body);
  const response = await fetch(path, { method, headers, body: sent, credentials: 'same-origin', ...init }).catch(() => null);
  if (response === null) throw new ApiError(0, AWAY);
  if (!response.ok) {
    const failure = await failureOf(response);
    if (response.status === 401 && path !== '/api/login' && failure.code !== 'wrong_password') onLocked();
    throw new ApiError(response.status, failure);
  }
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function failureOf(response: Response): Promise<Failure> {
  const usual: Failure = { code: `http_${response.status}`, message: `The server said ${response.status}.`, hint: null };
  const said = (await response.json().catch(() => null)) as { error?: Partial<Failure> } | null;
  return { ...usual, ...said?.error };
}

export const get = <T>(path: string): Promise<T> => call<T>('GET', path);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => call<T>('POST', path, body);
export const patch = <T>(path: string, body: unknown): Promise<T> => call<T>('PATCH', path, body);
export const remove = (path: string): Promise<void> => call<void>('DELETE', path);
