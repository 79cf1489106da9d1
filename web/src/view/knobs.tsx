/** How an answer is made, in one compact bar: model and effort at hand, the rest one click away. */

import type { Signal } from '@preact/signals';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { Check, Effort, Settings } from '../contract';
import { me } from '../state/me';
import { agreeing, mayHavePrograms, USUAL } from '../state/preferences';
import { CHECKS, EFFORTS } from '../text/words';
import { Icon } from './icons';

interface BarProps {
  settings: Signal<Settings>;
  name?: string;
}

export function Knobs({ settings, name = '' }: BarProps) {
  const set = (change: Partial<Settings>): void => {
    settings.value = { ...settings.value, ...change };
  };
  const now = settings.value;
  const models = me.value?.models ?? [];
  const known = now.model === null || models.some((model) => model.name === now.model);
  const more = [now.budget, now.within_s, now.paths, agreeing(now).programs, now.temperature].filter((one) => one !== null).length + Number(now.check !== 'auto') + Number(!!now.system);
  return (
    <div class="knobs" role="group" aria-label={name ? `Settings of answer ${name}` : 'Settings of the answer'}>
      {name && <span class="knobs-name">{name}</span>}
      <label class="knob">
        <select aria-label="Model" value={now.model ?? ''} onChange={(event) => set({ model: event.currentTarget.value || null })}>
          <option value="">{me.value?.default_model || 'Default model'}</option>
          {models
            .filter((model) => model.name !== me.value?.default_model)
            .map((model) => (
              <option key={model.name} value={model.name}>
                {model.name}
              </option>
            ))}
          {!known && <option value={now.model!}>{now.model}</option>}
        </select>
      </label>
      <label class="knob">
        <span aria-hidden="true">Think</span>
        <select aria-label="How hard to think" value={now.effort} onChange={(event) => set({ effort: event.currentTarget.value as Effort })}>
          {EFFORTS.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <More n={more}>
        <NumberKnob label="Budget of the thought" unit="tokens" value={now.budget} min={0} step={1} onChange={(budget) => set({ budget })} hint="the effort decides" />
        <NumberKnob label="Answer within" unit="seconds" value={now.within_s} min={1} step="any" onChange={(within_s) => set({ within_s })} hint="no deadline" />
        <NumberKnob label="Paths at most" unit="" value={now.paths} min={1} max={256} step={1} onChange={(paths) => set({ paths })} hint="the effort decides" />
        <NumberKnob
          label="Paths that write a program"
          unit=""
          value={agreeing(now).programs}
          min={0}
          max={(now.paths ?? 256) - 1}
          step={1}
          onChange={(programs) => set({ programs })}
          hint={mayHavePrograms(now) ? 'none' : 'not with this check'}
          isDisabled={!mayHavePrograms(now)}
        />
        <label class="field">
          <span>Check the answer</span>
          <select value={now.check} onChange={(event) => set({ check: event.currentTarget.value as Check })}>
            {CHECKS.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <NumberKnob label="Temperature" unit="" value={now.temperature} min={0} max={5} step="any" onChange={(temperature) => set({ temperature })} hint="the model's own" />
        <label class="field wide">
          <span>Instructions for the model</span>
          <textarea rows={2} value={now.system ?? ''} onInput={(event) => set({ system: event.currentTarget.value || null })} placeholder="For example: answer in French." />
        </label>
        <button type="button" class="button small" disabled={more === 0} onClick={() => set({ ...USUAL, model: now.model, effort: now.effort })}>
          Back to the usual
        </button>
      </More>
    </div>
  );
}

function More({ n, children }: { n: number; children: preact.ComponentChildren }) {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const at = details.current!;
    const outside = (event: Event): void => {
      if (at.open && !at.contains(event.target as globalThis.Node)) at.open = false;
    };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('focusin', outside);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('focusin', outside);
    };
  }, []);
  const close = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || !details.current?.open) return;
    event.stopPropagation();
    details.current.open = false;
    details.current.querySelector('summary')?.focus();
  };
  return (
    <details class="more" ref={details} onKeyDown={close}>
      <summary class="knob">
        <Icon name="dials" size={16} />
        <span>{n ? `${n} set` : 'More'}</span>
      </summary>
      <div class="more-panel">{children}</div>
    </details>
  );
}

interface NumberProps {
  label: string;
  unit: string;
  hint: string;
  value: number | null;
  min: number;
  max?: number;
  step: number | 'any';
  isDisabled?: boolean;
  onChange: (value: number | null) => void;
}

function NumberKnob({ label, unit, hint, value, min, max, step, isDisabled, onChange }: NumberProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{unit ? `${label}, in ${unit}` : label}</label>
      <input
        id={id}
        type="number"
        inputMode="decimal"
        min={min}
        max={max}
        step={step}
        disabled={isDisabled}
        value={value ?? ''}
        placeholder={hint}
        onChange={(event) => {
          const input = event.currentTarget;
          if (input.value === '') onChange(null);
          else if (input.checkValidity()) onChange(input.valueAsNumber);
          else input.reportValidity();
        }}
      />
    </div>
  );
}
