/** What was spent: bars that are a table to whoever cannot see them. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get } from '../../api';
import type { UsageRow } from '../../contract';
import { me } from '../../state/me';
import { attempt } from '../../state/notices';
import { number, seconds } from '../../text/words';
import { Section } from './index';

const DAYS = 30;
const GROUPS = [
  ['day', 'Day'],
  ['model', 'Model'],
  ['key', 'Key'],
  ['user', 'User'],
  ['workspace', 'Workspace'],
] as const;

type Group = (typeof GROUPS)[number][0];
const by = signal<Group>('day');
const rows = signal<UsageRow[] | null>(null);

async function load(group: Group): Promise<void> {
  by.value = group;
  const since = new Date(Date.now() - DAYS * 864e5).toISOString();
  const said = await attempt(() => get<{ rows: UsageRow[] }>(`/api/usage?by=${group}&since=${encodeURIComponent(since)}`));
  if (by.value === group && said) rows.value = said.rows;
}

export function UsageCharts() {
  useEffect(() => void load(by.peek()), []);
  const groups = me.value?.is_admin ? GROUPS : GROUPS.slice(0, 2);
  return (
    <Section title="Usage" lead={`Tokens of the last ${DAYS} days, questions included${me.value?.is_admin ? '' : ', with your key'}.`}>
      <fieldset class="choices">
        <legend class="unseen">Sums by</legend>
        {groups.map(([name, label]) => (
          <label key={name}>
            <input type="radio" name="by" checked={by.value === name} onChange={() => void load(name)} /> {label}
          </label>
        ))}
      </fieldset>
      <Chart rows={rows.value} first={GROUPS.find(([name]) => name === by.value)![1]} />
    </Section>
  );
}

function Chart({ rows: shown, first }: { rows: UsageRow[] | null; first: string }) {
  if (!shown?.length) return <p class="hint">{shown ? 'Nothing was asked yet.' : 'Looking…'}</p>;
  const most = Math.max(1, ...shown.map((row) => row.total_tokens));
  const isPriced = shown.some((row) => row.cost !== null);
  return (
    <div class="wide-table" tabIndex={0} role="group" aria-label="Usage">
      <table class="usage">
        <thead>
          <tr>
            <th scope="col">{first}</th>
            <th scope="col">Tokens</th>
            <th scope="col">Requests</th>
            <th scope="col">Time</th>
            {isPriced && <th scope="col">Cost</th>}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={row.id}>
              <th scope="row">{row.name || row.id || 'This machine'}</th>
              <td>
                <span class="usage-bar" aria-hidden="true">
                  <span style={{ transform: `scaleX(${row.total_tokens / most})` }} />
                </span>
                {number(row.total_tokens)}
              </td>
              <td>{number(row.n_requests)}</td>
              <td>{seconds(row.seconds)}</td>
              {isPriced && <td>{row.cost ?? '–'}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
