/** For administrators: workspaces, who belongs to them, what they may take and took this month. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, patch, post, remove } from '../../api';
import type { User, Workspace } from '../../contract';
import { me } from '../../state/me';
import { attempt } from '../../state/notices';
import { capital, plural } from '../../text/words';
import { Fold, LimitFields, limitsOf, limitWords, Made, Month, Section } from './section';

const spaces = signal<Workspace[] | null>(null);
const made = signal<{ name: string; secret: string } | null>(null);

async function load(): Promise<void> {
  const said = await attempt(() => get<{ workspaces: Workspace[] }>('/api/workspaces'));
  if (said) spaces.value = said.workspaces;
}

async function setPassword(body: { name: string; workspace: string; password?: string; is_admin?: boolean }): Promise<boolean> {
  const said = await attempt(() => post<{ password: string | null }>('/api/users', body));
  made.value = said?.password ? { name: body.name, secret: said.password } : null;
  await load();
  return said !== undefined;
}

async function takePassword(user: User): Promise<void> {
  if (!confirm(`Take away the password of ${user.name}? They are logged out, and come with a key or not at all.`)) return;
  await attempt(() => remove(`/api/users/${encodeURIComponent(user.id)}/password`));
  await load();
}

async function change(space: Workspace, form: FormData): Promise<boolean> {
  const body = { limits: limitsOf(form), logs_content: form.has('logs_content') };
  const said = await attempt(() => patch<{ workspaces: Workspace[] }>(`/api/workspaces/${encodeURIComponent(space.id)}`, body));
  if (said) spaces.value = said.workspaces;
  return said !== undefined;
}

export function People() {
  useEffect(() => {
    made.value = null;
    void load();
  }, []);
  if (me.value?.is_admin === false)
    return (
      <Section title="People">
        <p class="hint">An administrator of this server sees workspaces and their people here.</p>
      </Section>
    );
  return (
    <>
      {made.value && <Made what={`The password of ${made.value.name}, shown once. They can change it under “This page”.`} secret={made.value.secret} />}
      {spaces.value === null && <p class="hint">Looking…</p>}
      {spaces.value?.map((space) => <Space key={space.id} space={space} />)}
      <AddSomebody />
      <AddWorkspace />
    </>
  );
}

function Space({ space }: { space: Workspace }) {
  const about = [space.name === 'local' && 'whoever uses this machine without a key', limitWords(space.limits), space.logs_content ? 'prompts and answers may be kept' : 'prompts and answers are not kept'].filter(Boolean).join(' · ');
  return (
    <Section title={`Workspace ${space.name}`} lead={capital(about)}>
      <div class="space-foot">
        <Month used={space.used_this_month} limits={space.limits} whose={space.name} />
        <Fold label="Change" whose={`the workspace ${space.name}`} onDone={(form) => change(space, form)}>
          <LimitFields key={JSON.stringify(space.limits)} limits={space.limits} />
          <label class="choices">
            <span>
              <input type="checkbox" name="logs_content" defaultChecked={space.logs_content} /> Prompts and answers may be kept
            </span>
          </label>
        </Fold>
      </div>
      {space.users.length > 0 && (
        <ul class="rows" aria-label={`People of ${space.name}`}>
          {space.users.map((user) => (
            <Person key={user.id} user={user} space={space} />
          ))}
        </ul>
      )}
    </Section>
  );
}

function Person({ user, space }: { user: User; space: Workspace }) {
  const about = user.has_password ? `logs in with a password${user.n_keys > 1 ? ` or ${plural(user.n_keys - 1, 'key')}` : ''}` : user.n_keys ? `comes in with ${plural(user.n_keys, 'key')}` : 'locked out';
  return (
    <li>
      <span class="grow">
        <strong>{user.name}</strong>
        <span class="hint block">{about}</span>
      </span>
      <button
        type="button"
        class="button small"
        aria-label={`New password for ${user.name}`}
        onClick={() => {
          if (!user.has_password || confirm(`Make a new password for ${user.name}? The old one and its logins end.`)) void setPassword({ name: user.name, workspace: space.name });
        }}
      >
        New password
      </button>
      {user.has_password && (
        <button type="button" class="button small" aria-label={`Take away the password of ${user.name}`} onClick={() => void takePassword(user)}>
          Take away
        </button>
      )}
    </li>
  );
}

function AddSomebody() {
  return (
    <Section title="Let somebody in" lead="They log in with this name and a password. Whoever is there already gets the new password.">
      <form
        class="grid"
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          const said = new FormData(form);
          const password = String(said.get('password') ?? '');
          const body = { name: String(said.get('name')).trim(), workspace: String(said.get('workspace')), is_admin: said.has('is_admin') };
          void setPassword({ ...body, ...(password && { password }) }).then((done) => done && form.reset());
        }}
      >
        <label class="field">
          <span>Name</span>
          <input name="name" required maxLength={100} autocomplete="off" autoCapitalize="none" />
        </label>
        <label class="field">
          <span>Workspace</span>
          <select name="workspace">
            {spaces.value
              ?.filter((space) => space.name !== 'local')
              .map((space) => (
                <option key={space.id} value={space.name}>
                  {space.name}
                </option>
              ))}
          </select>
        </label>
        <label class="field">
          <span>Password (empty: one is made)</span>
          <input name="password" type="password" minLength={10} maxLength={500} autocomplete="new-password" />
        </label>
        <label class="choices">
          <span>
            <input type="checkbox" name="is_admin" /> May administer this server
          </span>
        </label>
        <button type="submit" class="button primary">
          Let them in
        </button>
      </form>
    </Section>
  );
}

function AddWorkspace() {
  return (
    <Section title="Make a workspace" lead="Keys and people of a workspace share its limits, and are counted together.">
      <form
        class="grid"
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          const said = new FormData(form);
          void attempt(() => post('/api/workspaces', { name: String(said.get('name')).trim(), limits: limitsOf(said) })).then((done) => {
            if (done) form.reset();
            void load();
          });
        }}
      >
        <label class="field">
          <span>Name of the workspace</span>
          <input name="name" required maxLength={100} autocomplete="off" />
        </label>
        <LimitFields />
        <button type="submit" class="button primary">
          Make it
        </button>
      </form>
    </Section>
  );
}
