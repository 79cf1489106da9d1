/** Keys for programs and people. A key is shown once, when it is made. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, post, remove } from '../../api';
import { attempt } from '../../state/notices';
import { copyText } from '../../text/code';
import { Section } from './index';

interface Key {
  id: string;
  name: string;
  prefix?: string | null;
  created?: string | null;
  last_used?: string | null;
}

const keys = signal<Key[] | null>(null);
const made = signal<string | null>(null);

async function load(): Promise<void> {
  const said = await attempt(() => get<{ keys: Key[] }>('/api/keys'));
  if (said) keys.value = said.keys;
}

async function make(name: string): Promise<void> {
  const said = await attempt(() => post<{ key: string }>('/api/keys', { name }));
  if (said) made.value = said.key;
  await load();
}

async function revoke(key: Key): Promise<void> {
  if (!confirm(`Revoke the key ${key.name}? Whatever uses it is locked out at once.`)) return;
  await attempt(() => remove(`/api/keys/${encodeURIComponent(key.id)}`));
  await load();
}

const day = (moment: string | null | undefined): string => (moment ? new Date(moment).toLocaleDateString('en', { dateStyle: 'medium' }) : 'never');

export function Keys() {
  useEffect(() => {
    made.value = null;
    void load();
  }, []);
  return (
    <Section title="Keys" lead="Any client that speaks OpenAI's API uses one as its API key, with this server's address and /v1.">
      {made.value && (
        <div class="made" role="status">
          <p>This key is shown once. Keep it where passwords are kept.</p>
          <div class="row">
            <code class="grow">{made.value}</code>
            <button type="button" class="button small" onClick={() => void copyText(made.value ?? '')}>
              Copy
            </button>
          </div>
        </div>
      )}
      <ul class="rows">
        {keys.value?.map((key) => (
          <li key={key.id}>
            <span class="grow">
              <strong>{key.name}</strong> {key.prefix && <code>{key.prefix}…</code>}
              <span class="hint block">
                made {day(key.created)} · last used {day(key.last_used)}
              </span>
            </span>
            <button type="button" class="button small" aria-label={`Revoke ${key.name}`} onClick={() => void revoke(key)}>
              Revoke
            </button>
          </li>
        ))}
      </ul>
      {keys.value?.length === 0 && <p class="hint">None yet.</p>}
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          const name = String(new FormData(event.currentTarget).get('name') ?? '').trim();
          event.currentTarget.reset();
          if (name) void make(name);
        }}
      >
        <input name="name" class="grow" aria-label="What the key is for" placeholder="What it is for" required />
        <button type="submit" class="button primary">
          Make a key
        </button>
      </form>
    </Section>
  );
}
