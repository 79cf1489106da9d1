/** Settings: models, keys, usage, looks. */

import type { ComponentChildren } from 'preact';
import { me } from '../../state/me';
import { theme, type Theme } from '../../state/preferences';
import { follow, pathOf } from '../../state/route';
import { Keys } from './keys';
import { Models } from './models';
import { UsageCharts } from './usage';

const TABS = [
  ['models', 'Models'],
  ['usage', 'Usage'],
  ['keys', 'Keys'],
  ['looks', 'Appearance'],
] as const;

export function SettingsPage({ tab }: { tab: string }) {
  const title = TABS.find(([name]) => name === tab)?.[1] ?? 'Models';
  return (
    <div class="settings scroll">
      <div class="settings-in">
        <h1>Settings</h1>
        <nav class="tabs" aria-label="Settings">
          {TABS.map(([name, label]) => (
            <a key={name} href={pathOf({ at: 'settings', tab: name })} aria-current={title === label ? 'page' : undefined} onClick={follow({ at: 'settings', tab: name })}>
              {label}
            </a>
          ))}
        </nav>
        {title === 'Usage' ? <UsageCharts /> : title === 'Keys' ? <Keys /> : title === 'Appearance' ? <Looks /> : <Models />}
      </div>
    </div>
  );
}

export function Section({ title, lead, children }: { title: string; lead?: string; children: ComponentChildren }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      {lead && <p class="hint">{lead}</p>}
      {children}
    </section>
  );
}

function Looks() {
  const names: [Theme, string][] = [
    ['system', 'As the system'],
    ['light', 'Light'],
    ['dark', 'Dark'],
  ];
  return (
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
  );
}
