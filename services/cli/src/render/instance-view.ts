import { InstanceState, RelayEngine, type RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { age } from './age.ts';
import { lostAfter, lostAt, total } from './drops.ts';
import { bare } from './names.ts';
import type { Tone } from './paint.ts';
import type { Column } from './table.ts';

const states: Readonly<Record<number, { readonly word: string; readonly tone: Tone }>> = {
  [InstanceState.PENDING]: { word: 'Pending', tone: 'warn' },
  [InstanceState.READY]: { word: 'Ready', tone: 'good' },
  [InstanceState.DEGRADED]: { word: 'Degraded', tone: 'warn' },
  [InstanceState.FAILED]: { word: 'Failed', tone: 'bad' },
  [InstanceState.UNKNOWN]: { word: 'Unknown', tone: 'warn' },
};

export function stateWord({ state }: RelayInstance): string {
  return states[state]?.word ?? `State${state}`;
}

export function stateTone({ state }: RelayInstance): Tone {
  return states[state]?.tone ?? 'warn';
}

/** The engine that forwards: "USERSPACE"; empty if none does. */
export function effectiveEngineText({ effectiveEngine }: RelayInstance): string {
  if (effectiveEngine === RelayEngine.KERNEL) return 'KERNEL';
  return effectiveEngine === RelayEngine.USERSPACE ? 'USERSPACE' : '';
}

/** Packets that matched and that at least one output, or all, did not send. */
export function dropTotal({ counters }: RelayInstance): bigint {
  if (counters === undefined) return 0n;
  return counters.outputs.reduce((sum, { drops }) => sum + total(drops), total(counters.drops));
}

export function txTotal({ counters }: RelayInstance): bigint {
  return (counters?.outputs ?? []).reduce((sum, { txPackets }) => sum + txPackets, 0n);
}

/** When it came into its present state. */
function since({ conditions }: RelayInstance): Date | undefined {
  return conditions.find(({ type }) => type === 'Ready')?.lastTransitionTime;
}

/** Whether it is not known which generation the host has applied (RelayInstance.applied_generation). */
export function appliesUnknown({ state, appliedGeneration }: RelayInstance): boolean {
  return state === InstanceState.UNKNOWN && appliedGeneration === 0n;
}

/** Names are "HOST/RELAY" for people. */
export function instanceName({ host, relay }: RelayInstance): string {
  return `${bare(host)}/${bare(relay)}`;
}

/** Why it is not ready, in the words of its first condition that does not hold; what its outputs warn of, if it is ready. */
export function instanceMessage(instance: RelayInstance): string {
  if (instance.state === InstanceState.READY) return warningText(instance);
  const failing = instance.conditions.find(({ reason, status }) => reason !== '' && status !== 1);
  return instance.lastError?.message ?? failing?.message ?? '';
}

/** "239.10.10.10:6001@eth1: InterfaceDrops"; empty if no output that forwards warns. */
function warningText({ counters }: RelayInstance): string {
  const warning = (counters?.outputs ?? []).filter(({ up, warning }) => up && warning !== '');
  return warning.map(({ output, warning: what }) => `${output}: ${what}`).join(', ');
}

export function instanceColumns(nowMs: () => number, wide: boolean): Column<RelayInstance>[] {
  const reason = (instance: RelayInstance): string => {
    const engine = effectiveEngineText(instance);
    return wide && engine !== '' && instance.engineReason !== '' ? `${engine} (${instance.engineReason})` : engine;
  };
  const columns: Column<RelayInstance>[] = [
    { title: 'RELAY', value: ({ relay }) => bare(relay) },
    { title: 'HOST', value: ({ host }) => bare(host) },
    { title: 'STATE', value: stateWord, tone: stateTone },
    { title: 'ENGINE', value: reason },
    {
      title: 'RX',
      value: ({ counters }) => (counters === undefined ? '' : String(counters.rxPackets)),
      align: 'right',
    },
    {
      title: 'TX',
      value: (instance) => (instance.counters === undefined ? '' : String(txTotal(instance))),
      align: 'right',
    },
    {
      title: 'DROPS',
      value: (instance) => (instance.counters === undefined ? '' : String(dropTotal(instance))),
      align: 'right',
      tone: (instance) => (dropTotal(instance) > 0n ? 'warn' : 'plain'),
    },
    { title: 'AGE', value: (instance) => age(since(instance), nowMs()) },
  ];
  if (!wide) return columns;
  return [
    ...columns,
    {
      title: 'GENERATION',
      value: (instance) =>
        `${appliesUnknown(instance) ? '?' : instance.appliedGeneration}/${instance.desiredGeneration}`,
      align: 'right',
    },
    {
      title: 'LOST BEFORE',
      value: ({ input }) => (input === undefined ? '' : String(lostAt(input))),
      align: 'right',
      tone: ({ input }) => (lostAt(input) > 0n ? 'warn' : 'plain'),
    },
    {
      title: 'LOST AFTER',
      value: ({ outputInterfaces }) => (outputInterfaces.length === 0 ? '' : String(lostAfter(outputInterfaces))),
      align: 'right',
      tone: ({ outputInterfaces }) => (lostAfter(outputInterfaces) > 0n ? 'warn' : 'plain'),
    },
    { title: 'COUNTED', value: ({ countersTime }) => age(countersTime, nowMs()) },
    { title: 'MESSAGE', value: instanceMessage },
  ];
}
