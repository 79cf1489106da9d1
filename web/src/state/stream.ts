/**
 * One answer on its way. Owns its connection: it comes back by itself where it was, also after the server was gone.
 * What always holds: what is shown changes at most once a frame, however many events arrive.
 */

import { signal, type Signal } from '@preact/signals';
import { get } from '../api';
import type { Failure, Node, ShownPath, Start, StreamEvent, Vote } from '../contract';

export interface Live extends Start {
  nPaths: number | null;
  paths: ShownPath[];
  votes: Vote[];
  nRunning: number | null;
  startedAt: number;
  firstTokenAt: number | null;
}

export class Stream {
  readonly live: Live;
  /** Grows with every change of `live`. */
  readonly version: Signal<number> = signal(0);
  readonly isConnected: Signal<boolean> = signal(true);
  private source: EventSource | null = null;
  private lastId = '';
  private isOver = false;
  private frame = 0;
  private wait = 500;

  constructor(
    readonly node: Node,
    private readonly conversation: string,
    private readonly end: (node: Node | null, failure: Failure | null) => void,
  ) {
    this.live = {
      prompt_tokens: null,
      budget: null,
      effort: null,
      notes: null,
      nPaths: null,
      paths: [],
      votes: [],
      nRunning: null,
      startedAt: Math.min(Date.parse(node.created) || Date.now(), Date.now()),
      firstTokenAt: null,
    };
    this.connect();
  }

  close(): void {
    this.isOver = true;
    this.source?.close();
    cancelAnimationFrame(this.frame);
  }

  private connect(): void {
    const after = this.lastId ? `?after=${this.lastId}` : '';
    const source = new EventSource(`/api/nodes/${encodeURIComponent(this.node.id)}/events${after}`);
    this.source = source;
    source.onopen = () => {
      this.isConnected.value = true;
      this.wait = 500;
    };
    source.onmessage = (message: MessageEvent<string>) => {
      if (message.lastEventId) this.lastId = message.lastEventId;
      this.take(JSON.parse(message.data) as StreamEvent);
    };
    source.onerror = () => {
      if (this.isOver) return;
      source.close();
      this.isConnected.value = false;
      setTimeout(() => void this.comeBack(), this.wait);
      this.wait = Math.min(this.wait * 1.7, 5000);
    };
  }

  /** The server may have finished, or forgotten, the answer meanwhile: what it says of the node decides. */
  private async comeBack(): Promise<void> {
    if (this.isOver) return;
    try {
      const path = `/api/conversations/${encodeURIComponent(this.conversation)}`;
      const { nodes } = await get<{ nodes: Node[] }>(path);
      const node = nodes.find((one) => one.id === this.node.id);
      if (node && (node.status === 'queued' || node.status === 'running')) this.connect();
      else this.finish(node ?? null, node ? null : { code: 'gone', message: 'This answer was deleted.', hint: null });
    } catch {
      setTimeout(() => void this.comeBack(), this.wait);
      this.wait = Math.min(this.wait * 1.7, 5000);
    }
  }

  private take(event: StreamEvent): void {
    const live = this.live;
    switch (event.type) {
      case 'snapshot':
        Object.assign(live, start(event));
        live.nPaths = event.n_paths;
        live.paths = event.paths;
        live.votes = event.votes;
        live.nRunning = event.n_running;
        if (event.paths.length) live.firstTokenAt ??= Date.now();
        break;
      case 'started':
        Object.assign(live, start(event));
        live.nPaths = event.paths;
        break;
      case 'delta': {
        const path = this.path(event.path);
        const { phase, text, n_tokens: n } = event;
        live.firstTokenAt ??= Date.now();
        this.change(event.path, phase === 'thinking' ? { phase, thinking: path.thinking + text, n_thinking: n } : { phase, answer: path.answer + text, n_answer: n });
        break;
      }
      case 'rolled_back':
        this.change(event.path, { thinking: [...this.path(event.path).thinking].slice(0, event.keep_chars).join('') });
        break;
      case 'closed':
        this.change(event.path, { closed_by: event.closed_by, n_thinking: event.n_tokens, phase: 'answer' });
        break;
      case 'path': {
        const { index, answer, extracted, is_cancelled, passed } = event;
        this.change(index, { answer, extracted, is_cancelled, passed, is_done: true });
        live.votes = event.votes;
        live.nRunning = event.n_running;
        break;
      }
      case 'finished':
        return this.finish(event.node, null);
      case 'failed':
        return this.finish(event.node ?? null, event.error);
    }
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.version.value++;
    });
  }

  private path(index: number): ShownPath {
    return this.live.paths.find((one) => one.index === index) ?? { ...UNTOUCHED, index };
  }

  /** Values are replaced, never changed: what shows a path is drawn again only when it is another one. */
  private change(index: number, change: Partial<ShownPath>): void {
    const others = this.live.paths.filter((one) => one.index !== index);
    this.live.paths = [...others, { ...this.path(index), ...change }].sort((a, b) => a.index - b.index);
  }

  private finish(node: Node | null, failure: Failure | null): void {
    if (this.isOver) return;
    this.close();
    this.isConnected.value = true;
    this.end(node, failure);
  }
}

const UNTOUCHED: ShownPath = {
  index: 0,
  phase: 'thinking',
  thinking: '',
  answer: '',
  n_thinking: 0,
  n_answer: 0,
  closed_by: null,
  is_done: false,
  is_cancelled: false,
  extracted: null,
  passed: null,
};

const start = ({ prompt_tokens, budget, effort, notes }: Start): Start => ({ prompt_tokens, budget, effort, notes });
