/** Keys for programs and people. A key's secret is shown once, when it is made. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, patch, post, remove } from '../../api';
import type { Key, Limits } from '../../contract';
import { me } from '../../state/me';
import { attempt } from '../../state/notices';
import { copyText } from '../../text/code';
import { number } from '../../text/words';
import { Section } from './index';

const keys = signal<Key[] | null>(null);
const made = signal<string | null>(null);

async function load(): Promise<void> {
  const said = await attempt(() => get<{ keys: Key[] }>('/api/keys'));
  if (said) keys.value = said.keys;
}

async function make(form: FormData): Promise<void> {
  const text = (name: string): string => String(form.get(name) ?? '').trim();
  const body = {
    name: text('name'),
    ...(text('user') && { user: text('user') }),
    ...(form.has('admin') && { scopes: ['admin'] }),
    ...(text('month') && { limits: { tokens_per_month: Number(text('month')) } }),
  };
  const said = await attempt(() => post<{ secret: string }>('/api/keys', body));
  if (said) made.value = said.secret;
  await load();
}

async function revoke(key: Key): Promise<void> {
  if (!confirm(`Revoke the key ${key.name}? Whatever uses it is locked out at once.`)) return;
  await attempt(() => remove(`/api/keys/${encodeURIComponent(key.id)}`));
  await load();
}

async function limit(key: Key, monthly: string): Promise<void> {
  const tokens = monthly ? Number(monthly) : null;
  if (tokens === key.limits.tokens_per_month) return;
  await attempt(() => patch(`/api/keys/${encodeURIComponent(key.id)}`, { ...key.limits, tokens_per_month: tokens }));
  await load();
}

const day = (moment: string): string => new Date(moment).toLocaleDateString('en', { dateStyle: 'medium' });

export function Keys() {
  useEffect(() => {
    made.value = null;
    if (me.value?.is_admin !== false) void load();
  }, [me.value?.is_admin]);
  if (me.value?.is_admin === false)
    return (
      <Section title="Keys">
        <p class="hint">An administrator of this server makes and revokes keys.</p>
      </Section>
    );
  return (
    <>
      <Section title="Keys" lead="Any client that speaks OpenAI's API takes one as its API key, with this server's address and /v1.">
        {made.value && <Made secret={made.value} />}
        <ul class="rows">
          {keys.value?.map((key) => (
            <Row key={key.id} it={key} />
          ))}
        </ul>
        {keys.value?.length === 0 && <p class="hint">None yet. On this machine alone, none is needed.</p>}
      </Section>
      <MakeOne />
    </>
  );
}

function Made({ secret }: { secret: string }) {
  return (
    <div class="made" role="status">
      <p>This key is shown once. Keep it where passwords are kept.</p>
      <div class="row">
        <code class="grow">{secret}</code>
        <button type="button" class="button small" onClick={() => void copyText(secret)}>
          Copy
        </button>
      </div>
    </div>
  );
}

function Row({ it }: { it: Key }) {
  const about = [it.workspace, it.user, it.scopes.includes('admin') ? 'administrator' : null, `made ${day(it.created)}`, it.expires && `until ${day(it.expires)}`, limitWords(it.limits)];
  const isLive = it.state === 'active';
  return (
    <li>
      <span class="grow">
        <strong>{it.name}</strong>
        {!isLive && <span class="badge quiet">{it.state}</span>}
        <span class="hint block">{about.filter(Boolean).join(' · ')}</span>
      </span>
      {isLive && (
        <>
          <input
            class="short"
            type="number"
            min={1}
            step={1}
            aria-label={`Tokens a month for ${it.name}`}
            placeholder="no limit"
            title="Tokens a month"
            value={it.limits.tokens_per_month ?? ''}
            onChange={(event) => event.currentTarget.reportValidity() && void limit(it, event.currentTarget.value)}
          />
          <button type="button" class="button small" aria-label={`Revoke ${it.name}`} onClick={() => void revoke(it)}>
            Revoke
          </button>
        </>
      )}
    </li>
  );
}

function limitWords(limits: Limits): string | null {
  const words = [
    limits.requests_per_minute && `${number(limits.requests_per_minute)} requests a minute`,
    limits.tokens_per_minute && `${number(limits.tokens_per_minute)} tokens a minute`,
    limits.concurrency && `${number(limits.concurrency)} at once`,
  ].filter(Boolean);
  return words.length ? words.join(', ') : null;
}

function MakeOne() {
  return (
    <Section title="Make a key">
      <form
        class="grid"
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          void make(new FormData(form)).then(() => form.reset());
        }}
      >
        <label class="field">
          <span>What it is for</span>
          <input name="name" required maxLength={100} autocomplete="off" />
        </label>
        <label class="field">
          <span>Whose it is (may stay empty)</span>
          <input name="user" maxLength={100} autocomplete="off" />
        </label>
        <label class="field">
          <span>Tokens a month (empty: no limit)</span>
          <input name="month" type="number" min={1} step={1} />
        </label>
        <label class="choices">
          <span>
            <input type="checkbox" name="admin" /> For an administrator
          </span>
        </label>
        <button type="submit" class="button primary">
          Make a key
        </button>
      </form>
    </Section>
  );
}
