/** The door of a server that is not only for its own machine. */

import { useEffect, useState } from 'preact/hooks';
import { ApiError, get } from '../api';
import { login, type Shown } from '../state/me';

type Way = 'password' | 'key';

export function Login() {
  const [ways, setWays] = useState<Way[]>([]);
  const [way, setWay] = useState<Way>('key');
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    get<{ ways: Way[] }>('/api/login')
      .then((said) => (setWays(said.ways), setWay(said.ways[0] ?? 'key')))
      .catch(() => setWays(['key']));
  }, []);
  const other: Way = way === 'key' ? 'password' : 'key';
  const send = (form: FormData): void => {
    const text = (name: string): string => String(form.get(name) ?? '');
    const shown: Shown = way === 'key' ? { key: text('key') } : { user: text('user'), password: text('password'), workspace: text('workspace') };
    login(shown).catch((error: unknown) => setWrong(error instanceof ApiError ? [error.failure.message, error.failure.hint].filter(Boolean).join('. ') : String(error)));
  };
  return (
    <main class="login">
      {ways.length > 0 && (
        <form
          key={way}
          onSubmit={(event) => {
            event.preventDefault();
            setWrong('');
            send(new FormData(event.currentTarget));
          }}
        >
          <p class="wordmark">
            be<em>think</em>
          </p>
          <h1>Who is there?</h1>
          {way === 'key' ? <ByKey /> : <ByPassword />}
          {wrong && (
            <p class="failed" role="alert">
              {wrong}
            </p>
          )}
          <div class="row">
            <button type="submit" class="button primary">
              Come in
            </button>
            {ways.includes(other) && (
              <button type="button" class="button" onClick={() => (setWay(other), setWrong(''))}>
                {other === 'key' ? 'With a key instead' : 'With a password instead'}
              </button>
            )}
          </div>
        </form>
      )}
    </main>
  );
}

function ByKey() {
  return (
    <>
      <label class="field">
        <span>Your key</span>
        <input name="key" type="password" autocomplete="off" required autoFocus aria-describedby="login-hint" />
      </label>
      <p class="hint" id="login-hint">
        Whoever runs this server makes keys, with bethink keys or in the settings of this page.
      </p>
    </>
  );
}

function ByPassword() {
  return (
    <>
      <label class="field">
        <span>Your name</span>
        <input name="user" autocomplete="username" maxLength={100} required autoFocus autoCapitalize="none" spellcheck={false} />
      </label>
      <label class="field">
        <span>Your password</span>
        <input name="password" type="password" autocomplete="current-password" required aria-describedby="login-hint" />
      </label>
      <p class="hint" id="login-hint">
        Whoever runs this server sets passwords. Forgotten? They can set another one.
      </p>
      <details>
        <summary class="hint">I was told the name of a workspace</summary>
        <label class="field">
          <span>Workspace</span>
          <input name="workspace" maxLength={100} autocomplete="organization" autoCapitalize="none" spellcheck={false} />
        </label>
      </details>
    </>
  );
}
