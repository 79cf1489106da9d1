/** The models of this machine: what fits, fetched with progress, removed. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, post, remove } from '../../api';
import type { JobEvent, ModelCard } from '../../contract';
import { load as loadMe, me } from '../../state/me';
import { attempt, notify } from '../../state/notices';
import { bytes, capital, plural } from '../../text/words';
import { Section } from './section';

interface Pull {
  name: string;
  now: Extract<JobEvent, { type: 'progress' }>;
}

const STAGES: Record<string, string> = { asking: 'Looking for', waiting: 'Waiting for', preparing: 'Preparing', checking: 'Checking' };
const models = signal<ModelCard[] | null>(null);
const pulls = signal<ReadonlyMap<string, Pull>>(new Map());

async function load(): Promise<void> {
  const said = await attempt(() => get<{ models: ModelCard[] }>('/api/models'));
  if (said) models.value = said.models;
  void loadMe();
}

function put(job: string, pull: Pull | null): void {
  const next = new Map(pulls.value);
  if (pull) next.set(job, pull);
  else next.delete(job);
  pulls.value = next;
}

function follow(job: string, name: string): void {
  const source = new EventSource(`/api/jobs/${encodeURIComponent(job)}/events`);
  const end = (): void => {
    source.close();
    put(job, null);
    void load();
  };
  put(job, { name, now: { type: 'progress', stage: 'asking', message: '' } });
  source.onmessage = (message: MessageEvent<string>) => {
    const event = JSON.parse(message.data) as JobEvent;
    if (event.type === 'progress') return put(job, { name, now: event });
    end();
    if (event.type === 'done') notify(`${event.name} is ready.`);
    else notify(event.error.message, { hint: event.error.hint, isError: event.error.code !== 'job_cancelled' }, 12_000);
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) end();
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
  const here = models.value?.filter((model) => model.is_pulled);
  const others = models.value?.filter((model) => !model.is_pulled);
  const memory = models.value?.[0]?.available_bytes;
  return (
    <>
      <Section title="Here" lead={memory ? `${bytes(memory)} of memory are free for models now.` : 'They stay on this machine.'}>
        {models.value === null && <p class="hint">Looking…</p>}
        {here?.length === 0 && <p class="hint">None yet: fetch one below.</p>}
        <List models={here} />
        {[...pulls.value].map(([job, one]) => (
          <Pulling key={job} job={job} pull={one} />
        ))}
      </Section>
      {me.value?.is_admin !== false && (
        <Section title="To fetch" lead="Known by name; or name a model of a hub, as owner/name.">
          <List models={others} />
          <form
            class="row"
            onSubmit={(event) => {
              event.preventDefault();
              const name = String(new FormData(event.currentTarget).get('name') ?? '').trim();
              if (name) void pull(name);
            }}
          >
            <input name="name" class="grow" aria-label="Name of the model" placeholder="owner/name" required />
            <button type="submit" class="button primary">
              Fetch
            </button>
          </form>
        </Section>
      )}
    </>
  );
}

function List({ models: some }: { models: ModelCard[] | undefined }) {
  return (
    <ul class="rows">
      {some?.map((model) => (
        <Row key={model.name} model={model} />
      ))}
    </ul>
  );
}

function Row({ model }: { model: ModelCard }) {
  const about = [
    model.size_bytes && bytes(model.size_bytes),
    model.needs_bytes && `needs ${bytes(model.needs_bytes)} of memory`,
    model.context_length && `reads ${plural(model.context_length, 'token')}`,
    model.licence,
  ];
  const isBusy = [...pulls.value.values()].some((one) => one.name === model.name);
  return (
    <li>
      <span class="grow">
        <strong>{model.name}</strong>
        {model.is_loaded && <span class="badge quiet">loaded</span>}
        {!model.fits && <span class="badge warn">does not fit now</span>}
        {model.title && <span class="block">{capital(model.title)}</span>}
        <span class="hint block">{about.filter(Boolean).join(' · ')}</span>
      </span>
      {me.value?.is_admin !== false &&
        (model.is_pulled ? (
          <button type="button" class="button small" aria-label={`Remove ${model.name}`} onClick={() => void drop(model.name)}>
            Remove
          </button>
        ) : (
          <button type="button" class="button small" aria-label={`Fetch ${model.name}`} disabled={isBusy} onClick={() => void pull(model.name)}>
            Fetch
          </button>
        ))}
    </li>
  );
}

function Pulling({ job, pull: { name, now } }: { job: string; pull: Pull }) {
  const { done_bytes: done = 0, total_bytes: total } = now;
  return (
    <div class="pulling">
      <span class="grow">
        {now.stage === 'preparing' && now.message ? `${name}: ${now.message}` : `${STAGES[now.stage] ?? 'Fetching'} ${name}`}
        {total ? ` · ${bytes(done)} of ${bytes(total)}` : ''}
      </span>
      <progress aria-label={`Fetching ${name}`} max={1} value={total ? done / total : undefined} />
      <button type="button" class="button small" onClick={() => void attempt(() => remove(`/api/jobs/${encodeURIComponent(job)}`))}>
        Stop
      </button>
    </div>
  );
}
