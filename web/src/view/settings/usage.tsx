/** What was spent: bars that are a table to whoever cannot see them. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get } from '../../api';
import type { UsageRow } from '../../contract';
import { me } from '../../state/me';
import { attempt } from '../../state/notices';
import { number, seconds } from '../../text/words';
import { Section } from './section';

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
/** Of one workspace or model alone; empty: of all. */
const only = signal({ workspace: '', model: '' });
const spaces = signal<UsageRow[]>([]);
const models = signal<UsageRow[]>([]);

async function ask(group: Group, chosen: Record<string, string> = {}): Promise<UsageRow[] | undefined> {
  const since = new Date(Date.now() - DAYS * 864e5).toISOString();
  return (await attempt(() => get<{ rows: UsageRow[] }>(`/api/usage?${new URLSearchParams({ by: group, since, ...chosen })}`)))?.rows;
}

async function load(group: Group): Promise<void> {
  by.value = group;
  const chosen = only.value;
  const said = await ask(group, chosen);
  if (by.value === group && only.value === chosen && said) rows.value = said;
}

async function loadChoices(isAdmin: boolean): Promise<void> {
  models.value = (await ask('model')) ?? [];
  spaces.value = (isAdmin && (await ask('workspace'))) || [];
}

function choose(change: Partial<typeof only.value>): void {
  only.value = { ...only.value, ...change };
  void load(by.value);
}

export function UsageCharts() {
  const isAdmin = me.value?.is_admin === true;
  useEffect(() => {
    void load(by.peek());
    void loadChoices(isAdmin);
  }, [isAdmin]);
  const groups = me.value?.is_admin ? GROUPS : GROUPS.slice(0, 2);
  return (
    <Section title="Usage" lead={`Tokens of the last ${DAYS} days, questions included${me.value?.is_admin ? '' : ', with all your keys'}.`}>
      <fieldset class="choices">
        <legend class="unseen">Sums by</legend>
        {groups.map(([name, label]) => (
          <label key={name}>
            <input type="radio" name="by" checked={by.value === name} onChange={() => void load(name)} /> {label}
          </label>
        ))}
      </fieldset>
      <div class="row filters">
        {spaces.value.length > 1 && <Filter label="Workspace" all="All workspaces" rows={spaces.value} value={only.value.workspace} onChoose={(workspace) => choose({ workspace })} />}
        {models.value.length > 1 && <Filter label="Model" all="All models" rows={models.value} value={only.value.model} onChoose={(model) => choose({ model })} />}
      </div>
      <Chart rows={rows.value} first={GROUPS.find(([name]) => name === by.value)![1]} />
    </Section>
  );
}

interface FilterProps {
  label: string;
  all: string;
  rows: UsageRow[];
  value: string;
  onChoose: (id: string) => void;
}

function Filter({ label, all, rows: known, value, onChoose }: FilterProps) {
  return (
    <select aria-label={`${label} that is counted`} value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
      <option value="">{all}</option>
      {known.map((row) => (
        <option key={row.id} value={row.id}>
          {row.name}
        </option>
      ))}
    </select>
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
