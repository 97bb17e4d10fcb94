import {
  type DropCounter,
  InstanceState,
  type InterfaceInput,
  type InterfaceOutput,
  type LoopProtection,
  OversizePolicy,
  type RateLimit,
  type Relay,
  type RelayInput,
  type RelayInstance,
  type RelayOutput,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { engineName } from '../document/enum-words.ts';
import { age } from './age.ts';
import { conditionText } from './condition-view.ts';
import { dropReasons, total } from './drops.ts';
import { appliesUnknown, dropTotal, effectiveEngineText, stateWord } from './instance-view.ts';
import { latencyText } from './latency-view.ts';
import { bare, endpoint, labelList } from './names.ts';
import { Outline } from './outline.ts';
import { noPaint } from './paint.ts';
import { advise } from './relay-advice.ts';
import { placementText, relayStatusWord } from './relay-view.ts';
import { Table } from './table.ts';
import { transmitText } from './transmit-view.ts';

/** Everything about a relay: what is wanted, what each host makes of it, and what to do. */
export function describeRelay(relay: Relay, instances: readonly RelayInstance[], nowMs: number): string {
  const { spec, status } = relay;
  const outline = new Outline();
  outline.fields([
    ['Name', bare(relay.name)],
    ['Display name', relay.displayName],
    [
      'Status',
      `${relayStatusWord(relay)}, ready on ${status?.readyInstances ?? 0} of ${status?.desiredInstances ?? 0} hosts`,
    ],
    ['Labels', labelList(relay.labels)],
    ['Annotations', labelList(relay.annotations)],
    ['Generation', `${relay.generation}`],
    ['Created', timeText(relay.createTime, nowMs)],
    ['Updated', timeText(relay.updateTime, nowMs)],
    ['Managed by', relay.managedBy],
    ['UID', relay.uid],
  ]);
  outline.section('Wanted', (wanted) => {
    wanted.fields([
      ['Hosts', placementText(relay)],
      ['Engine', engineName(spec?.engine ?? 0)],
      ['Input', spec?.input === undefined ? '' : endpoint(spec.input.group, spec.input.port, spec.input.interface)],
      ['VLAN', spec?.input?.vlan === undefined ? '' : `${spec.input.vlan}`],
      ['Sources', sourcesText(spec?.input)],
      ['Limit', rateLimitText(spec?.rateLimit)],
      ['Loops', loopText(spec?.loopProtection)],
      ['PTP', spec?.allowPtp === true ? 'relayed' : ''],
    ]);
    for (const [index, output] of (spec?.outputs ?? []).entries()) {
      wanted.line(`Output ${index + 1}: ${outputText(output)}`);
    }
  });
  outline.section('Conditions', (inner) => {
    for (const condition of status?.conditions ?? []) inner.line(conditionText(condition, nowMs));
  });
  for (const instance of instances) {
    outline.section(`Host ${bare(instance.host)}`, (host) => describeInstance(host, instance, nowMs));
  }
  outline.section('What to do', (inner) => {
    for (const advice of advise(relay, instances, nowMs)) inner.line(`- ${advice}`);
  });
  return outline.toString();
}

/** Where an output sends, and what it changes. */
function outputText(output: RelayOutput): string {
  const parts = [
    endpoint(output.address, output.port, output.interface),
    output.ttl === undefined ? 'TTL arriving minus 1' : `TTL ${output.ttl}`,
  ];
  if (output.source !== '') parts.push(`source ${output.source}`);
  if (output.sourcePort !== undefined) parts.push(`source port ${output.sourcePort}`);
  if (output.dscp !== undefined) parts.push(`DSCP ${output.dscp}`);
  if (output.oversize === OversizePolicy.DROP) parts.push('dropped if longer than the MTU');
  return parts.join(', ');
}

function loopText(protection: LoopProtection | undefined): string {
  const parts: string[] = [];
  if (protection?.keepDuplicates === true) parts.push('what comes back is passed on');
  if (protection?.minTtl !== undefined) parts.push(`TTL ${protection.minTtl} at least`);
  return parts.join(', ');
}

function rateLimitText(limit: RateLimit | undefined): string {
  const parts: string[] = [];
  if (limit?.packetsPerSecond !== undefined) parts.push(`${limit.packetsPerSecond} packets per second`);
  if (limit?.bitsPerSecond !== undefined) parts.push(`${limit.bitsPerSecond} bits per second`);
  if (limit?.burstPackets !== undefined) parts.push(`bursts of ${limit.burstPackets} packets`);
  return parts.join(', ');
}

function sourcesText(input: RelayInput | undefined): string {
  const excluded = (input?.excludeSources ?? []).join(', ');
  return (input?.sources ?? []).join(', ') || (excluded === '' ? 'any' : `any but ${excluded}`);
}

/** A host that has told nothing may hold any generation. */
function generationText(instance: RelayInstance): string {
  const { desiredGeneration } = instance;
  return appliesUnknown(instance)
    ? `${desiredGeneration} wanted, not known which is applied`
    : `${instance.appliedGeneration} of ${desiredGeneration} applied`;
}

function describeInstance(outline: Outline, instance: RelayInstance, nowMs: number): void {
  const { counters } = instance;
  const engine = effectiveEngineText(instance);
  outline.fields([
    ['State', stateWord(instance)],
    [
      'Engine',
      engine === '' ? 'none' : `${engine}${instance.engineReason === '' ? '' : ` (${instance.engineReason})`}`,
    ],
    ['Generation', generationText(instance)],
    ['Refused', instance.lastError === undefined ? '' : instance.lastError.message],
    ['Input warning', counters?.warning ?? ''],
    ['Received', counters === undefined ? '' : `${counters.rxPackets} packets, ${counters.rxBytes} bytes`],
    ['Last packet', counters === undefined ? '' : timeText(counters.lastPacketTime, nowMs) || 'none yet'],
    ['Latency', latencyText(counters?.latency)],
    ['Dropped', counters === undefined ? '' : `${dropTotal(instance)}${dropText(counters.drops)}`],
    ['Lost before', inputLossText(instance.input)],
    ['Lost after', outputLossText(instance.outputInterfaces)],
    ['Counted', timeText(instance.countersTime, nowMs)],
    ['Counted since', timeText(counters?.startTime, nowMs)],
  ]);
  outline.section('Conditions', (inner) => {
    for (const condition of instance.conditions) inner.line(conditionText(condition, nowMs));
  });
  const outputs = counters?.outputs ?? [];
  if (outputs.length === 0) return;
  const table = new Table(
    [
      { title: 'OUTPUT', value: ({ output }: (typeof outputs)[number]) => output },
      { title: 'PACKETS', value: ({ txPackets }) => String(txPackets), align: 'right' },
      { title: 'BYTES', value: ({ txBytes }) => String(txBytes), align: 'right' },
      {
        title: 'FORWARDS',
        value: ({ up, downReason, warning }) => {
          if (up && instance.state === InstanceState.PENDING) return 'no (the relay waits)';
          if (up) return warning === '' ? 'yes' : `yes (${warning})`;
          return `no (${downReason || 'reason not known'})`;
        },
      },
      { title: 'SENDS BY', value: transmitText },
      { title: 'DROPS', value: ({ drops }) => dropText(drops).trim() || '0' },
    ],
    noPaint,
  );
  outline.section('Outputs', (inner) => inner.block(table.rows(outputs)));
}

/** What its input interface lost before any relay could be told. */
function inputLossText(input: InterfaceInput | undefined): string {
  if (input === undefined) return '';
  const { interface: name, kernelDrops, drops } = input;
  const unusable = total(drops) === 0n ? '' : `, ${total(drops)} were no usable datagrams${dropText(drops)}`;
  return `${kernelDrops} in the receive ring of ${name}${unusable}; of all relays that take packets there`;
}

/** What the interfaces of its outputs lost after they had taken it. */
function outputLossText(outputs: readonly InterfaceOutput[]): string {
  if (outputs.length === 0) return '';
  const each = outputs.map(({ interface: name, drops }) => `${total(drops)} in ${name}${dropText(drops)}`);
  return `${each.join(', ')}; of all that leaves there, other programs included`;
}

/** " (tx_full 12, mtu 1)", or nothing. */
function dropText(drops: readonly DropCounter[]): string {
  return total(drops) === 0n ? '' : ` (${dropReasons(drops)})`;
}

/** "2026-01-02T03:04:05Z (5m ago)"; empty if it never was. */
export function timeText(time: Date | undefined, nowMs: number): string {
  if (time === undefined) return '';
  return `${time.toISOString().replace(/\.\d+Z$/, 'Z')} (${age(time, nowMs)} ago)`;
}
