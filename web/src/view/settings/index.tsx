/** Settings: models, usage, keys, people, looks. */

import { post } from '../../api';
import type { Heading } from '../../contract';
import { refresh } from '../../state/list';
import { me } from '../../state/me';
import { attempt } from '../../state/notices';
import { theme, type Theme } from '../../state/preferences';
import { follow, go, pathOf } from '../../state/route';
import { Keys } from './keys';
import { Models } from './models';
import { OwnPassword } from './password';
import { People } from './people';
import { Section } from './section';
import { UsageCharts } from './usage';

const TABS = [
  ['models', 'Models'],
  ['usage', 'Usage'],
  ['keys', 'Keys'],
  ['people', 'People'],
  ['looks', 'This page'],
] as const;

/** Others than administrators see what is theirs. */
const isFor = (name: string): boolean => me.value?.is_admin !== false || (name !== 'keys' && name !== 'people');

export function SettingsPage({ tab }: { tab: string }) {
  const title = TABS.find(([name]) => name === tab)?.[1] ?? 'Models';
  return (
    <div class="settings scroll">
      <div class="settings-in">
        <h1>Settings</h1>
        <nav class="tabs" aria-label="Settings">
          {TABS.filter(([name]) => isFor(name)).map(([name, label]) => (
            <a key={name} href={pathOf({ at: 'settings', tab: name })} aria-current={title === label ? 'page' : undefined} onClick={follow({ at: 'settings', tab: name })}>
              {label}
            </a>
          ))}
        </nav>
        {title === 'Usage' ? <UsageCharts /> : title === 'Keys' ? <Keys /> : title === 'People' ? <People /> : title === 'This page' ? <Looks /> : <Models />}
      </div>
    </div>
  );
}

function Looks() {
  const names: [Theme, string][] = [
    ['system', 'As the system'],
    ['light', 'Light'],
    ['dark', 'Dark'],
  ];
  return (
    <>
    <OwnPassword />
    <Section title="Appearance">
      <fieldset class="choices">
        <legend class="hint">Theme</legend>
        {names.map(([name, label]) => (
          <label key={name}>
            <input type="radio" name="theme" checked={theme.value === name} onChange={() => (theme.value = name)} /> {label}
          </label>
        ))}
      </fieldset>
      <p class="hint">
        bethink {me.value?.version}
        {me.value?.workspace ? ` · workspace ${me.value.workspace}` : ''}
        {me.value?.user ? ` · ${me.value.user}` : ''}
      </p>
    </Section>
    <Section title="Import a conversation" lead="What was exported as JSON, here or on another server.">
      <label class="button">
        <input
          type="file"
          class="unseen"
          accept=".json,application/json"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            if (file) void takeIn(file);
            event.currentTarget.value = '';
          }}
        />
        Choose a file
      </label>
    </Section>
    </>
  );
}

async function takeIn(file: File): Promise<void> {
  const made = await attempt(async () => post<Heading>('/api/conversations/import', JSON.parse(await file.text())));
  if (!made) return;
  go({ at: 'chat', id: made.id });
  await refresh();
}
