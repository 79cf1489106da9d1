/** One's own password, changed by who knows the old one. */

import { useState } from 'preact/hooks';
import { post } from '../../api';
import { me } from '../../state/me';
import { attempt, notify } from '../../state/notices';
import { Section } from './section';

export function OwnPassword() {
  const [wrong, setWrong] = useState('');
  if (!me.value?.has_password) return null;
  const change = async (form: HTMLFormElement): Promise<void> => {
    const said = new FormData(form);
    const [old, wanted, again] = ['old', 'new', 'again'].map((name) => String(said.get(name)));
    setWrong(wanted === again ? '' : 'The two new passwords are not the same.');
    if (wanted !== again) return;
    const done = await attempt(async () => (await post('/api/password', { old, new: wanted }), true));
    if (!done) return;
    form.reset();
    notify('Your password is changed. Other browsers have to log in again.');
  };
  return (
    <Section title="Your password" lead="At least ten characters. A change ends your logins in other browsers.">
      <form
        class="grid"
        onSubmit={(event) => {
          event.preventDefault();
          void change(event.currentTarget);
        }}
      >
        <input type="text" class="unseen" name="user" autocomplete="username" value={me.value.user ?? ''} readOnly tabIndex={-1} aria-hidden="true" />
        <label class="field">
          <span>The old one</span>
          <input name="old" type="password" autocomplete="current-password" required />
        </label>
        <label class="field">
          <span>The new one</span>
          <input name="new" type="password" autocomplete="new-password" required minLength={10} maxLength={500} />
        </label>
        <label class="field">
          <span>The new one again</span>
          <input name="again" type="password" autocomplete="new-password" required aria-describedby="password-wrong" />
        </label>
        <p class="failed-line" id="password-wrong" role="alert">
          {wrong}
        </p>
        <button type="submit" class="button primary">
          Change it
        </button>
      </form>
    </Section>
  );
}
