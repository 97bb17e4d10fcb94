import { formatForwarderOptions, formatMulticastTable } from '@mcfleet/native';
import type {
  ExclusiveInput,
  InputStatus,
  OutputStatus,
  PacketPathOptions,
  UdpSocketStatus,
  WorkerStatus,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { Host, NetworkInterface } from '@mcfleet/proto/mcfleet/v1/host';
import type { InterfaceInput, InterfaceOutput, RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { age } from './age.ts';
import { conditionText } from './condition-view.ts';
import { timeText } from './describe-relay.ts';
import { dropReasons } from './drops.ts';
import { effectiveLabels, syncText } from './host-view.ts';
import { instanceColumns } from './instance-view.ts';
import { bare, labelList } from './names.ts';
import { Outline } from './outline.ts';
import { noPaint } from './paint.ts';
import { type Column, Table } from './table.ts';

const interfaceColumns: Column<NetworkInterface>[] = [
  { title: 'NAME', value: ({ name }) => name },
  { title: 'INDEX', value: ({ index }) => String(index), align: 'right' },
  { title: 'STATE', value: ({ operState }) => operState },
  { title: 'KIND', value: ({ kind }) => kind },
  { title: 'MTU', value: ({ mtu }) => String(mtu), align: 'right' },
  { title: 'ADDRESSES', value: ({ addresses }) => addresses.join(',') },
  { title: 'FLAGS', value: ({ flags }) => flags.join(',') },
];

/** What is received for relays, and what is lost before any of them could be told. */
function inputColumns(nowMs: number): Column<InterfaceInput>[] {
  const newest = (a: Date | undefined, b: Date | undefined): Date | undefined =>
    (a?.getTime() ?? 0) > (b?.getTime() ?? 0) ? a : b;
  return [
    { title: 'NAME', value: ({ interface: name }) => name },
    { title: 'PACKETS', value: ({ rxPackets }) => String(rxPackets), align: 'right' },
    { title: 'LOST IN RING', value: ({ kernelDrops }) => String(kernelDrops), align: 'right' },
    { title: 'NO RELAY', value: ({ unmatched }) => String(unmatched), align: 'right' },
    { title: 'UNUSABLE', value: ({ drops }) => dropReasons(drops) || '0' },
    {
      title: 'LAST LOSS',
      value: ({ lastKernelDropTime, lastDropTime }) => age(newest(lastKernelDropTime, lastDropTime), nowMs),
    },
  ];
}

/** What interfaces lose after they have taken it from relays and others. */
function outputColumns(nowMs: number): Column<InterfaceOutput>[] {
  return [
    { title: 'NAME', value: ({ interface: name }) => name },
    { title: 'LOST', value: ({ drops }) => dropReasons(drops) || '0' },
    { title: 'LAST LOSS', value: ({ lastDropTime }) => age(lastDropTime, nowMs) },
  ];
}

/** InputStatus.filter for people. */
const filterTexts = new Map([
  ['coarse', 'coarse kernel filter (all multicast UDP; relays select afterwards)'],
  ['none', 'no kernel filter (every packet is copied; raise net.core.optmem_max and change a relay)'],
]);

/** How packets are taken from an interface. */
function inputText(input: InputStatus): string {
  const { filter, ringBytes, memberships, exclusive } = input;
  const selects = filterTexts.get(filter) ?? `${filter} kernel filter`;
  const groups = memberships === 1 ? '1 group joined' : `${memberships} groups joined`;
  const ring = `ring of ${mebibytes(ringBytes)} MiB${longRingText(input)}`;
  return `receives: ${selects}, ${ring}, ${groups}${exclusive ? `, ${exclusiveText(exclusive)}` : ''}`;
}

/** Rounded up, as help says what the default is. */
function mebibytes(bytes: bigint): bigint {
  return (bytes + 2n ** 20n - 1n) / 2n ** 20n;
}

/** The ring of super-frames, which is made when the first one comes. */
function longRingText({ longRingBytes, longRingError }: InputStatus): string {
  if (longRingError !== '') return `, none for super-frames (${longRingError})`;
  return longRingBytes === 0n ? '' : `, ${mebibytes(longRingBytes)} MiB for super-frames`;
}

/** Whether what relays take is kept from the host, and what is not. */
function exclusiveText({ active, reason, destinations, sharedRelays, leftOut }: ExclusiveInput): string {
  // Without a reason it is the interface itself that is not there.
  if (!active) return `shared with the host (${reason || 'nothing is received'})`;
  const counted = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;
  const shared = [
    sharedRelays > 0 ? counted(sharedRelays, 'relay', 'relays') : '',
    leftOut > 0 ? `${counted(leftOut, 'destination', 'destinations')} that did not fit` : '',
  ].filter((part) => part !== '');
  const kept = `${counted(destinations, 'destination', 'destinations')} kept from the host`;
  return shared.length === 0 ? kept : `${kept}, shared with it: ${shared.join(' and ')}`;
}

/** How packets are sent to an interface. */
function outputText({ transmit, reason, outputs }: OutputStatus): string {
  const which = outputs === 1 ? '1 output' : `${outputs} outputs`;
  return `sends ${which}: ${transmit}${reason === '' ? '' : ` (${reason})`}`;
}

function workerText({ cpu, packets, udpSockets }: WorkerStatus): string {
  const sockets = udpSockets === undefined ? '' : udpSocketsText(udpSockets);
  return `${cpu === undefined ? 'on any CPU' : `on CPU ${cpu}`}, took ${packets} packets${sockets}`;
}

/** What its UDP sockets were too few for; nothing, if it never had to do with any. */
function udpSocketsText({ open, most, refused, failed, packetsWithout }: UdpSocketStatus): string {
  if (open === 0 && packetsWithout === 0n) return '';
  const notGiven = [
    refused > 0n ? `asked for ${times(refused)} beyond the bounds` : '',
    failed > 0n ? `not given by the kernel ${times(failed)}` : '',
    packetsWithout > 0n ? `${packetsWithout} packets sent without` : '',
  ].filter((part) => part !== '');
  return [`, UDP sockets: ${open} open (most of all workers: ${most})`, ...notGiven].join(', ');
}

function times(count: bigint): string {
  return count === 1n ? 'once' : `${count} times`;
}

function optionsText(options: PacketPathOptions): string {
  const forwarder = formatForwarderOptions({ ...options, ringBytes: Number(options.ringBytes) });
  return [...forwarder, formatMulticastTable(options.mrouteTable)].join(' ');
}

/** Everything about a host: its session, its interfaces, and the relays it runs. */
export function describeHost(host: Host, instances: readonly RelayInstance[], nowMs: number): string {
  const { status } = host;
  const outline = new Outline();
  outline.fields([
    ['Name', bare(host.name)],
    ['Display name', host.displayName],
    ['Connected', status?.connected ? 'yes' : 'no'],
    ['Last seen', timeText(status?.lastSeenTime, nowMs)],
    ['In sync', syncText(host)],
    ['Labels', labelList(effectiveLabels(host))],
    ['Annotations', labelList(host.annotations)],
    ['Agent', status?.agentVersion ?? ''],
    ['Kernel', status?.kernel ?? ''],
    ['Capabilities', (status?.capabilities ?? []).join(', ')],
    ['Boot ID', status?.bootId ?? ''],
    ['Created', timeText(host.createTime, nowMs)],
    ['UID', host.uid],
  ]);
  outline.section('Conditions', (inner) => {
    for (const condition of status?.conditions ?? []) inner.line(conditionText(condition, nowMs));
  });
  const interfaces = status?.interfaces ?? [];
  if (interfaces.length > 0) {
    outline.section('Interfaces', (inner) => inner.block(new Table(interfaceColumns, noPaint).rows(interfaces)));
  }
  const inputs = status?.inputs ?? [];
  if (inputs.length > 0) {
    outline.section('Inputs', (inner) => inner.block(new Table(inputColumns(nowMs), noPaint).rows(inputs)));
  }
  const outputs = status?.outputs ?? [];
  if (outputs.length > 0) {
    outline.section('Outputs', (inner) => inner.block(new Table(outputColumns(nowMs), noPaint).rows(outputs)));
  }
  outline.section('Packet path', (inner) => {
    const nameOf = (index: number): string => interfaces.find((one) => one.index === index)?.name ?? `index ${index}`;
    inner.fields([
      ['options', status?.options === undefined ? '' : optionsText(status.options)],
      ...(status?.workers ?? []).map((worker) => [`worker ${worker.index}`, workerText(worker)] as const),
      ...(status?.receiving ?? []).map((input) => [nameOf(input.ifindex), inputText(input)] as const),
      ...(status?.sending ?? []).map((output) => [nameOf(output.ifindex), outputText(output)] as const),
    ]);
  });
  if (instances.length > 0) {
    const columns = instanceColumns(() => nowMs, true).filter(({ title }) => title !== 'HOST');
    outline.section('Relays', (inner) => inner.block(new Table(columns, noPaint).rows(instances)));
  }
  return outline.toString();
}
