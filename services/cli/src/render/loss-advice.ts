import type {
  DropCounter,
  InterfaceInput,
  InterfaceOutput,
  OutputCounters,
  RelayInstance,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { age } from './age.ts';
import { dropReasons, total } from './drops.ts';
import { bare } from './names.ts';

/** A loss that is longer ago is still counted, and no longer a thing to act on. */
const RECENT_MS = 10 * 60_000;

/** What to do about each reason for which an output drops packets, after "host: output x dropped ...". */
const OUTPUT_ADVICE: Readonly<Record<string, string>> = {
  mtu: 'The copies are longer than its MTU and their sender forbids fragments, or oversize is DROP: raise the MTU, or send shorter packets',
  not_permitted:
    'The kernel forbids to send there: see whether a firewall drops it, and that it is no broadcast address',
  no_route: 'The kernel has no route there: see ip route get',
  no_source: 'The interface has no address to send from: give it one, or set the source of the output',
  tx_full: 'The interface takes less than arrives: send less, or limit the rate of the relay',
  no_neighbour:
    'Nobody answers there for the address of the receiver, or of the gateway to it: see that it runs and is connected, and ip neighbour',
  interface_down: 'The interface was down: ip link set it up',
  interface_missing: 'The interface was not there',
  no_carrier: 'The interface had no carrier: check its cable, peer or ports',
};

/** The same for an input, after "host got packets on eth0 ..."; for the others: look at them. */
const INPUT_ADVICE: Readonly<Record<string, string>> = {
  too_many_fragments:
    'More datagrams in fragments are under way at once than there is memory for: let their senders send shorter ones, or spread ' +
    'their groups over more workers (--workers of mcfleet agent).',
};

/** The same for an interface that loses what it has taken, after "host: eth1 lost 12 packets that it had taken ...". */
const INTERFACE_ADVICE: Readonly<Record<string, (name: string) => string>> = {
  queue: (name) => `Its queue is too short, or too much is sent there: tc -s qdisc show dev ${name}`,
  device_dropped: (name) =>
    `The device throws them away, as a tun that nobody reads does: see who takes them from it, and ip -s link show dev ${name}`,
  device_error: (name) => `The device fails to send them: see its driver's log, and ip -s link show dev ${name}`,
};

/** What to do about packets that a relay loses on a host while everything forwards; empty if it loses none. */
export function adviseLosses(instance: RelayInstance, nowMs: number): string[] {
  const host = bare(instance.host);
  return [
    ...adviseInput(host, instance.input, nowMs),
    ...(instance.counters?.outputs ?? []).flatMap((output) => adviseOutput(host, output, nowMs)),
    ...instance.outputInterfaces.flatMap((output) => adviseInterface(host, output, nowMs)),
  ];
}

function adviseInput(host: string, input: InterfaceInput | undefined, nowMs: number): string[] {
  if (input === undefined) return [];
  const advice: string[] = [];
  if (isRecent(input.lastKernelDropTime, nowMs)) {
    advice.push(
      `${host} lost ${input.kernelDrops} packets in the receive ring of ${input.interface}, the last ` +
        `${age(input.lastKernelDropTime, nowMs)} ago: its data plane has too little processor time, or too small a ring (--ring-ms of mcfleet agent).`,
    );
  }
  if (isRecent(input.lastDropTime, nowMs)) {
    const what = INPUT_ADVICE[latest(input.drops)] ?? `Look there: tcpdump -vni ${input.interface} udp`;
    advice.push(
      `${host} got packets on ${input.interface} that are no usable datagrams: ${dropReasons(input.drops)}` +
        `${lastDrop(input, nowMs)}. ${what}`,
    );
  }
  return advice;
}

function adviseOutput(
  host: string,
  { output, up, downReason, drops, txPackets, lastDropTime }: OutputCounters,
  nowMs: number,
): string[] {
  const dropped = total(drops);
  // One that is down is told of by its interface, unless it is a receiver that is not there.
  const toldElsewhere = !up && downReason !== 'NoNeighbour';
  if (toldElsewhere || dropped === 0n || (txPackets > 0n && !isRecent(lastDropTime, nowMs))) return [];
  const what = txPackets === 0n ? 'every packet' : `${dropped} of ${dropped + txPackets} packets`;
  const advice = OUTPUT_ADVICE[latest(drops)];
  return [
    `${host}: output ${output} dropped ${what} (${dropReasons(drops)})${lastDrop({ drops, lastDropTime }, nowMs)}.` +
      `${advice === undefined ? '' : ` ${advice}.`}`,
  ];
}

function adviseInterface(
  host: string,
  { interface: name, drops, lastDropTime }: InterfaceOutput,
  nowMs: number,
): string[] {
  if (!isRecent(lastDropTime, nowMs)) return [];
  const advice = INTERFACE_ADVICE[latest(drops)]?.(name) ?? `Look there: ip -s link show dev ${name}`;
  return [
    `${host}: ${name} lost ${total(drops)} packets that it had taken, of relays or other programs (${dropReasons(drops)})` +
      `${lastDrop({ drops, lastDropTime }, nowMs)}. ${advice}.`,
  ];
}

/** What the last packets were dropped for; of several at a time, or of times that nobody knows, what most were dropped for. */
function latest(drops: readonly DropCounter[]): string {
  const time = ({ lastDropTime }: DropCounter): number => lastDropTime?.getTime() ?? 0;
  return drops.toSorted((a, b) => time(b) - time(a) || Number(b.packets - a.packets))[0]?.reason ?? '';
}

/** ", the last 5s ago", with its reason if there are several. */
function lastDrop({ drops, lastDropTime }: Pick<OutputCounters, 'drops' | 'lastDropTime'>, nowMs: number): string {
  if (lastDropTime === undefined) return '';
  const several = drops.filter(({ packets }) => packets > 0n).length > 1;
  return `, the last ${age(lastDropTime, nowMs)} ago${several ? ` (${latest(drops)})` : ''}`;
}

function isRecent(time: Date | undefined, nowMs: number): boolean {
  return time !== undefined && nowMs - time.getTime() < RECENT_MS;
}
