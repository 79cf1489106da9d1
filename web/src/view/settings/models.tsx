/** The models of this machine: what fits, pulled with progress, removed. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, post, remove } from '../../api';
import type { ModelCard } from '../../contract';
import { load as loadMe } from '../../state/me';
import { attempt, notify } from '../../state/notices';
import { bytes } from '../../text/words';
import { Section } from './index';

interface Pull {
  name: string;
  done: number;
  total: number | null;
  what: string;
}

const models = signal<ModelCard[] | null>(null);
const pulls = signal<ReadonlyMap<string, Pull>>(new Map());

async function load(): Promise<void> {
  const said = await attempt(() => get<{ models: ModelCard[] }>('/api/models'));
  if (said) models.value = said.models;
  void loadMe();
}

function follow(job: string, name: string): void {
  const source = new EventSource(`/api/jobs/${encodeURIComponent(job)}/events`);
  const put = (pull: Pull | null): void => {
    const next = new Map(pulls.value);
    if (pull) next.set(job, pull);
    else next.delete(job);
    pulls.value = next;
  };
  put({ name, done: 0, total: null, what: 'Starting' });
  source.onmessage = (message: MessageEvent<string>) => {
    const event = JSON.parse(message.data) as Record<string, unknown>;
    if (event['type'] === 'finished' || event['type'] === 'failed' || event['type'] === 'cancelled') {
      source.close();
      put(null);
      const error = event['error'] as { message?: string; hint?: string } | undefined;
      if (event['type'] === 'failed') notify(error?.message ?? `${name} could not be fetched.`, { hint: error?.hint ?? null, isError: true });
      else notify(event['type'] === 'finished' ? `${name} is ready.` : `Stopped fetching ${name}.`);
      void load();
      return;
    }
    const total = typeof event['total'] === 'number' ? event['total'] : null;
    put({ name, done: Number(event['done'] ?? 0), total, what: String(event['step'] ?? event['what'] ?? 'Fetching') });
  };
}

async function pull(name: string): Promise<void> {
  const said = await attempt(() => post<{ job: string }>('/api/models/pull', { name }));
  if (said) follow(said.job, name);
}

async function drop(name: string): Promise<void> {
  if (!confirm(`Remove ${name} from this machine?`)) return;
  await attempt(() => remove(`/api/models/${encodeURIComponent(name)}`));
  await load();
}

export function Models() {
  useEffect(() => void load(), []);
  return (
    <>
      <Section title="Models" lead="They are kept on this machine, by the hash of their content.">
        {models.value === null && <p class="hint">Looking…</p>}
        <ul class="rows">
          {models.value?.map((model) => (
            <Row key={model.name} model={model} />
          ))}
        </ul>
        {[...pulls.value].map(([job, one]) => (
          <Pulling key={job} job={job} pull={one} />
        ))}
      </Section>
      <Section title="Fetch another" lead="A name from bethink models list --all, or a model of a hub.">
        <form
          class="row"
          onSubmit={(event) => {
            event.preventDefault();
            const name = String(new FormData(event.currentTarget).get('name') ?? '').trim();
            if (name) void pull(name);
          }}
        >
          <input name="name" class="grow" aria-label="Name of the model" placeholder="qwen2.5-coder:1.5b" required />
          <button type="submit" class="button primary">
            Fetch
          </button>
        </form>
      </Section>
    </>
  );
}

const isHere = (model: ModelCard): boolean => model.is_pulled !== false;

function fitWords(fit: ModelCard['fit']): string | null {
  if (!fit || typeof fit === 'string') return fit || null;
  return fit.why ?? (fit.fits === undefined ? null : fit.fits ? 'fits this machine' : 'too large for this machine');
}

function Row({ model }: { model: ModelCard }) {
  const about = [model.size_bytes ? bytes(model.size_bytes) : null, model.licence, fitWords(model.fit), model.note].filter(Boolean).join(' · ');
  const isBusy = [...pulls.value.values()].some((one) => one.name === model.name);
  return (
    <li>
      <span class="grow">
        <strong>{model.name}</strong>
        {model.is_loaded && <span class="badge quiet">loaded</span>}
        {about && <span class="hint block">{about}</span>}
      </span>
      {isHere(model) ? (
        <button type="button" class="button small" aria-label={`Remove ${model.name}`} onClick={() => void drop(model.name)}>
          Remove
        </button>
      ) : (
        <button type="button" class="button small" aria-label={`Fetch ${model.name}`} disabled={isBusy} onClick={() => void pull(model.name)}>
          Fetch
        </button>
      )}
    </li>
  );
}

function Pulling({ job, pull: one }: { job: string; pull: Pull }) {
  const share = one.total ? one.done / one.total : null;
  return (
    <div class="pulling">
      <span class="grow">
        {one.what} {one.name}
        {one.total ? ` · ${bytes(one.done)} of ${bytes(one.total)}` : ''}
      </span>
      <progress aria-label={`Fetching ${one.name}`} max={1} value={share ?? undefined} />
      <button type="button" class="button small" onClick={() => void attempt(() => remove(`/api/jobs/${encodeURIComponent(job)}`))}>
        Stop
      </button>
    </div>
  );
}
