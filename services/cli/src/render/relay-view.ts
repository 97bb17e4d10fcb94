import { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { engineName } from '../document/enum-words.ts';
import { age } from './age.ts';
import { bare, endpoint, labelList } from './names.ts';
import type { Tone } from './paint.ts';
import type { Column } from './table.ts';

/** One word for how a relay is: "Ready", the reason why it is not, or "Unknown" before anybody has told. */
export function relayStatusWord(relay: Relay): string {
  const ready = readyCondition(relay);
  if (ready === undefined) return 'Unknown';
  return ready.status === ConditionStatus.TRUE ? 'Ready' : ready.reason || 'NotReady';
}

/** The condition "Ready" if it is about the relay's present generation. */
export function readyCondition(relay: Relay): NonNullable<Relay['status']>['conditions'][number] | undefined {
  return relay.status?.conditions.find(
    ({ type, observedGeneration }) => type === 'Ready' && observedGeneration >= relay.generation,
  );
}

function tone(relay: Relay): Tone {
  const ready = readyCondition(relay);
  if (ready?.status === ConditionStatus.TRUE) return 'good';
  return (relay.status?.failedInstances ?? 0) > 0 ? 'bad' : 'warn';
}

/** The input as people write it. */
export function inputText({ spec }: Relay): string {
  const input = spec?.input;
  return input === undefined ? '' : endpoint(input.group, input.port, input.interface);
}

/** The outputs as people write them; "*" stands for "as it arrives". */
export function outputTexts({ spec }: Relay): string[] {
  return (spec?.outputs ?? []).map((output) => endpoint(output.address, output.port, output.interface));
}

/** Where it shall run: names and a selector. */
export function placementText({ spec }: Relay): string {
  const selector = labelList(spec?.hosts?.matchLabels ?? {});
  return [...(spec?.hosts?.names ?? []), ...(selector === '' ? [] : [selector])].join(',');
}

export function relayColumns(nowMs: () => number, wide: boolean): Column<Relay>[] {
  const columns: Column<Relay>[] = [
    { title: 'NAME', value: ({ name }) => bare(name) },
    { title: 'ENGINE', value: ({ spec }) => engineName(spec?.engine ?? 0) },
    { title: 'INPUT', value: inputText },
    { title: 'OUTPUTS', value: wide ? (relay) => outputTexts(relay).join(',') : shortOutputs },
    {
      title: 'READY',
      value: ({ status }) => `${status?.readyInstances ?? 0}/${status?.desiredInstances ?? 0}`,
      align: 'right',
    },
    { title: 'STATUS', value: relayStatusWord, tone },
    { title: 'AGE', value: ({ createTime }) => age(createTime, nowMs()) },
  ];
  if (!wide) return columns;
  return [
    ...columns,
    { title: 'HOSTS', value: placementText },
    { title: 'GENERATION', value: ({ generation }) => String(generation), align: 'right' },
    { title: 'LABELS', value: ({ labels }) => labelList(labels) },
  ];
}

function shortOutputs(relay: Relay): string {
  const [first, ...more] = outputTexts(relay);
  return more.length === 0 ? (first ?? '') : `${first} +${more.length}`;
}
