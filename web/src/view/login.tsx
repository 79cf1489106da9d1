/** The door of a server that is not only for its own machine. */

import { useState } from 'preact/hooks';
import { ApiError } from '../api';
import { login } from '../state/me';

export function Login() {
  const [wrong, setWrong] = useState('');
  return (
    <main class="login">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const key = String(new FormData(event.currentTarget).get('key') ?? '');
          login(key).catch((error: unknown) => setWrong(error instanceof ApiError ? [error.failure.message, error.failure.hint].filter(Boolean).join(' ') : String(error)));
        }}
      >
        <p class="wordmark">
          be<em>think</em>
        </p>
        <h1>Who is there?</h1>
        <label class="field">
          <span>Your key</span>
          <input name="key" type="password" autocomplete="current-password" required autoFocus aria-describedby="key-hint" />
        </label>
        <p class="hint" id="key-hint">
          Whoever runs this server makes keys, with bethink keys or in the settings of this page.
        </p>
        {wrong && (
          <p class="failed" role="alert">
            {wrong}
          </p>
        )}
        <button type="submit" class="button primary">
          Come in
        </button>
      </form>
    </main>
  );
}
