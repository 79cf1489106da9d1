/** Keys for programs and people. A key's secret is shown once, when it is made. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, patch, post, remove } from '../../api';
import type { Key } from '../../contract';
import { me } from '../../state/me';
import { attempt } from '../../state/notices';
import { Fold, LimitFields, limitsOf, limitWords, Made, Month, Section } from './section';

const keys = signal<Key[] | null>(null);
const made = signal<string | null>(null);

async function load(): Promise<void> {
  const said = await attempt(() => get<{ keys: Key[] }>('/api/keys'));
  if (said) keys.value = said.keys;
}

async function make(form: FormData): Promise<boolean> {
  const text = (name: string): string => String(form.get(name) ?? '').trim();
  const body = {
    name: text('name'),
    ...(text('user') && { user: text('user') }),
    ...(text('workspace') && { workspace: text('workspace') }),
    ...(form.has('admin') && { scopes: ['admin'] }),
    limits: limitsOf(form),
    models: modelsOf(form),
    expires: endOf(form),
  };
  const said = await attempt(() => post<{ secret: string }>('/api/keys', body));
  made.value = said?.secret ?? null;
  await load();
  return said !== undefined;
}

async function revoke(key: Key): Promise<void> {
  if (!confirm(`Revoke the key ${key.name}? Whatever uses it is locked out at once.`)) return;
  await attempt(() => remove(`/api/keys/${encodeURIComponent(key.id)}`));
  await load();
}

async function change(key: Key, form: FormData): Promise<boolean> {
  const body = { ...limitsOf(form), models: modelsOf(form), expires: endOf(form, key.expires) };
  const done = await attempt(() => patch(`/api/keys/${encodeURIComponent(key.id)}`, body));
  await load();
  return done !== undefined;
}

const modelsOf = (form: FormData): string[] | null => {
  const names = String(form.get('models') ?? '')
    .split(/[,\n]/)
    .map((name) => name.trim())
    .filter(Boolean);
  return names.length ? names : null;
};

/** The end of that day here; the same day as before leaves the moment as it was. */
function endOf(form: FormData, before: string | null = null): string | null {
  const wanted = String(form.get('expires') ?? '');
  if (!wanted || wanted === dayField(before)) return wanted ? before : null;
  return new Date(`${wanted}T23:59:59`).toISOString();
}

/** As a field for a date holds it. */
function dayField(moment: string | null): string {
  if (!moment) return '';
  const at = new Date(moment);
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((part) => String(part).padStart(2, '0')).join('-');
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
        {made.value && <Made what="This key is shown once. Keep it where passwords are kept." secret={made.value} />}
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

function Row({ it }: { it: Key }) {
  const about = [it.workspace, it.user, it.scopes.includes('admin') ? 'administrator' : null, `made ${day(it.created)}`, it.expires && `until ${day(it.expires)}`, it.models && `only ${it.models.join(', ')}`, limitWords(it.limits)];
  const isLive = it.state === 'active';
  return (
    <li class="key">
      <span class="grow">
        <strong>{it.name}</strong>
        {!isLive && <span class="badge quiet">{it.state}</span>}
        <span class="hint block">{about.filter(Boolean).join(' · ')}</span>
        <Month used={it.used_this_month} limits={it.limits} whose={it.name} />
      </span>
      {it.state !== 'revoked' && (
        <>
          <button type="button" class="button small" aria-label={`Revoke ${it.name}`} onClick={() => void revoke(it)}>
            Revoke
          </button>
          <Fold label="Change" whose={it.name} onDone={(form) => change(it, form)}>
            <LimitFields key={JSON.stringify(it.limits)} limits={it.limits} />
            <TermFields models={it.models} expires={it.expires} />
          </Fold>
        </>
      )}
    </li>
  );
}

function TermFields({ models = null, expires = null }: { models?: string[] | null; expires?: string | null }) {
  return (
    <>
      <label class="field">
        <span>Models (empty: all)</span>
        <input name="models" placeholder="qwen3:*, smollm2:135m" defaultValue={models?.join(', ') ?? ''} autocomplete="off" autoCapitalize="none" spellcheck={false} />
      </label>
      <label class="field">
        <span>Last day (empty: for good)</span>
        <input name="expires" type="date" min={dayField(new Date().toISOString())} defaultValue={dayField(expires)} />
      </label>
    </>
  );
}

function MakeOne() {
  return (
    <Section title="Make a key">
      <form
        class="grid"
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          void make(new FormData(form)).then((done) => done && form.reset());
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
          <span>Workspace</span>
          <input name="workspace" placeholder="default" maxLength={100} autocomplete="off" />
        </label>
        <LimitFields />
        <TermFields />
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
