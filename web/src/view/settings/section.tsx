/** What the tabs of the settings are made of. */

import type { ComponentChildren } from 'preact';
import type { Limits } from '../../contract';
import { copyText } from '../../text/code';
import { number, plural } from '../../text/words';
import { Meter } from '../thought';

export function Section({ title, lead, children }: { title: string; lead?: string; children: ComponentChildren }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      {lead && <p class="hint">{lead}</p>}
      {children}
    </section>
  );
}

/** A secret on its one appearance. */
export function Made({ what, secret }: { what: string; secret: string }) {
  return (
    <div class="made" role="status">
      <p>{what}</p>
      <div class="row">
        <code class="grow">{secret}</code>
        <button type="button" class="button small" onClick={() => void copyText(secret)}>
          Copy
        </button>
      </div>
    </div>
  );
}

/** What was used this month, against what may be. */
export function Month({ used, limits, whose }: { used: number; limits: Limits; whose: string }) {
  const most = limits.tokens_per_month;
  return (
    <span class="month">
      <span class="hint">
        {most ? `${number(used)} of ${plural(most, 'token')} this month` : `${plural(used, 'token')} this month`}
      </span>
      <Meter used={used} budget={most} label={`Use of the month by ${whose}`} />
    </span>
  );
}

const FIELDS: [keyof Limits, string][] = [
  ['tokens_per_month', 'Tokens a month'],
  ['tokens_per_minute', 'Tokens a minute'],
  ['requests_per_minute', 'Requests a minute'],
  ['concurrency', 'Requests at once'],
];

/** Four numbers; an empty one is no limit. */
export function LimitFields({ limits }: { limits?: Limits }) {
  return (
    <>
      {FIELDS.map(([name, label]) => (
        <label class="field" key={name}>
          <span>{label}</span>
          <input name={name} type="number" min={1} max={2 ** 53} step={1} placeholder="no limit" defaultValue={String(limits?.[name] ?? '')} />
        </label>
      ))}
    </>
  );
}

export function limitsOf(form: FormData): Limits {
  const read = (name: keyof Limits): number | null => Number(form.get(name)) || null;
  return { tokens_per_month: read('tokens_per_month'), tokens_per_minute: read('tokens_per_minute'), requests_per_minute: read('requests_per_minute'), concurrency: read('concurrency') };
}

export function limitWords(limits: Limits): string | null {
  const words = [
    limits.requests_per_minute && `${plural(limits.requests_per_minute, 'request')} a minute`,
    limits.tokens_per_minute && `${plural(limits.tokens_per_minute, 'token')} a minute`,
    limits.concurrency && `${number(limits.concurrency)} at once`,
  ].filter(Boolean);
  return words.length ? words.join(', ') : null;
}

/** A form that unfolds under a row, and folds when it is done. */
export function Fold({ label, whose, onDone, children }: { label: string; whose: string; onDone: (form: FormData) => Promise<unknown>; children: ComponentChildren }) {
  return (
    <details class="fold">
      <summary class="button small" aria-label={`${label} ${whose}`}>
        {label}
      </summary>
      <form
        class="grid"
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          void onDone(new FormData(form)).then((said) => {
            const fold = form.closest('details');
            if (!said || !fold) return;
            fold.open = false;
            fold.querySelector('summary')?.focus();
          });
        }}
      >
        {children}
        <button type="submit" class="button primary small">
          Save
        </button>
      </form>
    </details>
  );
}
