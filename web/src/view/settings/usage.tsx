/** What was spent, by day: bars that are a table to whoever cannot see them. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get } from '../../api';
import { attempt } from '../../state/notices';
import { number } from '../../text/words';
import { Section } from './index';

type Group = Record<string, unknown>;

interface Bar {
  label: string;
  tokens: number;
  requests: number;
}

const DAYS = 30;
const byDay = signal<Bar[] | null>(null);
const byModel = signal<Bar[] | null>(null);

async function load(): Promise<void> {
  const since = new Date(Date.now() - DAYS * 864e5).toISOString().slice(0, 10);
  const ask = async (by: string): Promise<Bar[] | null> => {
    const said = await attempt(() => get<Group>(`/api/usage?by=${by}&since=${since}`));
    const rows = said?.['usage'] ?? said?.['rows'];
    return Array.isArray(rows) ? (rows as Group[]).map((row) => bar(row, by)) : null;
  };
  byDay.value = await ask('day');
  byModel.value = await ask('model');
}

function bar(row: Group, by: string): Bar {
  const count = (...names: string[]): number => Number(names.map((name) => row[name]).find((value) => typeof value === 'number') ?? 0);
  const spent = count('prompt_tokens') + count('thinking_tokens') + count('answer_tokens') + count('probe_tokens') + count('discarded_tokens');
  return {
    label: String(row[by] ?? row['key'] ?? row['group'] ?? ''),
    tokens: count('total_tokens', 'tokens') || count('prompt_tokens') + count('completion_tokens') || spent,
    requests: count('requests', 'n_requests', 'n'),
  };
}

export function UsageCharts() {
  useEffect(() => void load(), []);
  return (
    <>
      <Section title="Usage by day" lead={`Tokens of the last ${DAYS} days, questions included.`}>
        <Chart bars={byDay.value} first="Day" />
      </Section>
      <Section title="Usage by model">
        <Chart bars={byModel.value} first="Model" />
      </Section>
    </>
  );
}

function Chart({ bars, first }: { bars: Bar[] | null; first: string }) {
  if (!bars?.length) return <p class="hint">{bars ? 'Nothing was asked yet.' : 'Looking…'}</p>;
  const most = Math.max(1, ...bars.map((one) => one.tokens));
  return (
    <table class="usage">
      <thead>
        <tr>
          <th scope="col">{first}</th>
          <th scope="col">Tokens</th>
          <th scope="col">Requests</th>
        </tr>
      </thead>
      <tbody>
        {bars.map((one) => (
          <tr key={one.label}>
            <th scope="row">{one.label}</th>
            <td>
              <span class="usage-bar" aria-hidden="true">
                <span style={{ transform: `scaleX(${one.tokens / most})` }} />
              </span>
              {number(one.tokens)}
            </td>
            <td>{number(one.requests)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
