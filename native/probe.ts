import { randomBytes } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import { loadAddon } from './load.ts';

/** What a probe may ask for; both ends inclusive. */
export const probeLimits = {
  port: { min: 1, max: 65_535 },
  /** Packets per second; steps of a thousandth. */
  rate: { min: 0.001, max: 100_000_000 },
  count: { min: 1, max: Number.MAX_SAFE_INTEGER },
  /** Bytes of UDP payload: the probe's own header, and what fits an IPv4 datagram. */
  size: { min: 48, max: 65_507 },
  ttl: { min: 1, max: 255 },
  flows: { min: 1, max: 1_024 },
  /** Packets per send; 64 is what every kernel since 4.18 takes. */
  segments: { min: 1, max: 64 },
} as const;

export interface ProbeSendOptions {
  /** Index of the interface that sends. */
  readonly ifindex: number;
  /** Group or unicast address to send to, IPv4 or IPv6. */
  readonly group: string;
  /** UDP destination port. */
  readonly port: number;
  /**
   * Source address. `null`: the kernel's choice, by an ordinary UDP socket. An address of this host: the same, bound to it. Any
   * other: raw packets, IPv4 only, which need CAP_NET_RAW.
   */
  readonly source: string | null;
  /** Source port of flow 0; flow n adds n. `null`: the kernel's choice, or 40000 for raw packets. */
  readonly sourcePort: number | null;
  /** Packets per second over all flows. */
  readonly rate: number;
  /** Packets over all flows; `null`: until stopped. */
  readonly count: number | null;
  /** Bytes of UDP payload per packet. */
  readonly size: number;
  readonly ttl: number;
  /** Flows with source ports and sequence numbers of their own, in turns. */
  readonly flows: number;
  /**
   * Packets of one flow that are handed to the kernel by one send, for it or the device to cut apart (UDP_SEGMENT): several times the
   * rate, in bursts. 1: one by one. All of them together are at most 65,507 bytes. Not with raw packets.
   */
  readonly segments: number;
  /** Raw packets also where a UDP socket would do; IPv4 only. */
  readonly raw: boolean;
  /** Whether to compute `payloadSha256`: in the waits between packets, and the rest after the last one, which takes up to some seconds. */
  readonly digest: boolean;
  /**
   * Write the pattern of a payload once and send it again and again; numbers and stamps are each packet's own. It saves a twentieth of
   * the sender's time, a fifth with super-frames, and a receiver that looks at the pattern takes such packets for corrupt: for those who count at
   * an interface. Not with `digest`. Default false.
   */
  readonly fillOnce?: boolean;
}

export interface ProbeSendProgress {
  readonly sent: bigint;
  /** UDP payload. */
  readonly bytes: bigint;
  /** Sends that found a full queue. They were repeated: none of these packets is missing. */
  readonly retries: bigint;
}

export interface ProbeSendReport extends ProbeSendProgress {
  /** From the first packet's due time to the end of the last send. */
  readonly durationNs: bigint;
  /** Fingerprint of what was sent, to compare with the receiver's; `null` if not asked for. See native/src/probe/digest.h. */
  readonly payloadSha256: string | null;
}

/** A thing that runs on a thread of its own until it is done. */
export interface ProbeJob<Progress, Report> {
  /** Settles when it ends; rejects with an Error whose `code` is the errno's name. */
  readonly done: Promise<Report>;
  /** The counters of this moment. */
  progress(): Progress;
  /** Asks it to end; `done` then resolves with what it has done so far. */
  stop(): void;
}

export interface ProbeSender extends ProbeJob<ProbeSendProgress, ProbeSendReport> {
  /** "udp": UDP sockets; "packet": raw Ethernet frames; "ip": raw IP packets (unicast). */
  readonly mode: 'udp' | 'packet' | 'ip';
}

export interface ProbeReceiveOptions {
  /** Index of the interface that receives. */
  readonly ifindex: number;
  /** IPv4 or IPv6 group, joined on the interface, or a unicast address. */
  readonly group: string;
  /** UDP destination port. */
  readonly port: number;
  /**
   * Take packets at the interface (packet ring), whatever routing, firewall and sockets do with them; needs CAP_NET_RAW and does not
   * see IP fragments; IPv4 only. Otherwise from a UDP socket.
   */
  readonly raw: boolean;
  /** Whether to compute `payloadSha256`. */
  readonly digest: boolean;
  /**
   * Take super-frames whole, with the kernel's word on where their datagrams end (UDP_GRO), in place of one by one: a socket that the
   * kernel can fill several times as fast. Of no effect with `raw`. Default false.
   */
  readonly whole?: boolean;
  /** Packets expected over all flows: ends `settleMs` after the last of them. `null`: not known. */
  readonly count: number | null;
  /** Ends after this, whatever came; milliseconds. */
  readonly durationMs: number | null;
  /** Ends if nothing at all came for so long; milliseconds. */
  readonly timeoutMs: number | null;
  /** Ends if after the first packet nothing came for so long; milliseconds. */
  readonly idleMs: number | null;
  /** How long to wait for late duplicates once `count` packets are there; milliseconds. */
  readonly settleMs: number;
}

/** Every packet is counted under exactly one of received, duplicates, stale, corrupt, foreign, unaccounted. */
export interface ProbeReceiveProgress {
  /** Intact packets, each sequence number once. */
  readonly received: bigint;
  /** Of `count`, and of the numbers between the first and the last of each flow. */
  readonly lost: bigint;
  readonly duplicates: bigint;
  /** Of the received: those that came after a later number. */
  readonly reordered: bigint;
  /** Wrong checksum or content. */
  readonly corrupt: bigint;
  /** So late (2^20 numbers) that they may be duplicates or not. */
  readonly stale: bigint;
  /** Packets to this address and port that no probe sent. */
  readonly foreign: bigint;
  /** Packets of flows beyond the first 1024. */
  readonly unaccounted: bigint;
  /** UDP payload of the received. */
  readonly bytes: bigint;
  /** Packets that the kernel dropped because this receiver was too slow: not the network's fault. */
  readonly receiverDrops: bigint;
  /** From the first packet to the last. */
  readonly activeNs: bigint;
  /** From the sender's stamp to the kernel's receive stamp. Means something only if both clocks agree. */
  readonly latencyNs: {
    readonly p50: bigint;
    readonly p99: bigint;
    readonly p999: bigint;
    readonly max: bigint;
  } | null;
}

export interface ProbeFlow {
  /** Random number of the sender's run. */
  readonly run: bigint;
  readonly flow: number;
  /** Of its first packet. */
  readonly source: string;
  readonly sourcePort: number;
  /** Of its first packet; known in raw mode only. */
  readonly ttl: number | null;
  readonly received: bigint;
  readonly lost: bigint;
  readonly duplicates: bigint;
  readonly reordered: bigint;
  readonly stale: bigint;
  readonly bytes: bigint;
  readonly firstSequence: bigint;
  readonly lastSequence: bigint;
}

export interface ProbeReceiveReport extends ProbeReceiveProgress {
  readonly flows: readonly ProbeFlow[];
  /** Fingerprint of the received packets; equals the sender's if they are the same ones. `null` if not asked for. */
  readonly payloadSha256: string | null;
}

export type ProbeReceiver = ProbeJob<ProbeReceiveProgress, ProbeReceiveReport>;

interface Addon {
  sendProbe(options: object): ProbeSender;
  receiveProbe(options: object): ProbeReceiver;
}

function check(what: string, value: number, { min, max }: { min: number; max: number }, whole = true): void {
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return;
  throw new RangeError(`${what} ${value} is not ${whole ? 'a whole number ' : ''}from ${min} to ${max}`);
}

function checkAddress(what: string, value: string): void {
  if (isIP(value) === 0) throw new RangeError(`${what} ${value} is not an IP address`);
}

function checkRaw(group: string, raw: boolean): void {
  if (raw && isIPv6(group)) throw new RangeError(`raw packets are IPv4 only; ${group} is IPv6`);
}

const nanoseconds = (ms: number | null): bigint | null => (ms === null ? null : BigInt(Math.round(ms * 1e6)));

/**
 * Starts to send test traffic.
 *
 * @throws RangeError if an option is out of its range.
 * @throws Error with `code` "ENODEV" (no such interface), "EADDRNOTAVAIL" (no source address), "EPERM" (raw without CAP_NET_RAW),
 *   "EMSGSIZE" (raw or segments, and larger than the MTU), "EAFNOSUPPORT" (IPv6 from a source that this host does not have). A unicast address without a route is taken to be on the interface's own network.
 */
export function sendProbe(options: ProbeSendOptions): ProbeSender {
  const { source, sourcePort, rate, count, fillOnce = false, ...rest } = options;
  checkAddress('group', options.group);
  checkRaw(options.group, options.raw);
  if (source !== null) {
    checkAddress('source', source);
    if (isIP(source) !== isIP(options.group)) {
      throw new RangeError(`source ${source} and group ${options.group} are of two families`);
    }
  }
  check('port', options.port, probeLimits.port);
  check('rate', rate, probeLimits.rate, false);
  if (count !== null) check('count', count, probeLimits.count);
  check('size', options.size, probeLimits.size);
  check('ttl', options.ttl, probeLimits.ttl);
  check('flows', options.flows, probeLimits.flows);
  check('segments', options.segments, probeLimits.segments);
  if (options.segments > 1 && options.raw) throw new RangeError('segments are not sent as raw packets');
  if (fillOnce && options.digest) throw new RangeError('what is filled once has no fingerprint');
  if (options.segments > 1 && options.segments * options.size > probeLimits.size.max) {
    const most = Math.floor(probeLimits.size.max / options.size);
    throw new RangeError(`segments ${options.segments} of ${options.size} bytes are too large; at most ${most}`);
  }
  if (sourcePort !== null) check('sourcePort', sourcePort, { min: 1, max: probeLimits.port.max - options.flows + 1 });
  return loadAddon<Addon>().sendProbe({
    ...rest,
    fillOnce,
    source,
    sourcePort,
    millipacketsPerSecond: BigInt(Math.round(rate * 1000)),
    count: count === null ? null : BigInt(count),
    run: randomBytes(8).readBigUInt64BE(),
  });
}

/**
 * Starts to receive test traffic; listens when it returns.
 *
 * @throws RangeError if an option is out of its range.
 * @throws Error with `code` "ENODEV" (no such interface), "EADDRNOTAVAIL" (unicast address is not this host's), "EADDRINUSE", "EPERM"
 *   (raw without CAP_NET_RAW).
 */
export function receiveProbe(options: ProbeReceiveOptions): ProbeReceiver {
  const { count, durationMs, timeoutMs, idleMs, settleMs, whole = false, ...rest } = options;
  checkAddress('group', options.group);
  checkRaw(options.group, options.raw);
  check('port', options.port, probeLimits.port);
  if (count !== null) check('count', count, probeLimits.count);
  for (const [what, ms] of Object.entries({ durationMs, timeoutMs, idleMs, settleMs })) {
    if (ms !== null) check(what, ms, { min: 0, max: 1e12 }, false);
  }
  return loadAddon<Addon>().receiveProbe({
    ...rest,
    whole,
    count: count === null ? null : BigInt(count),
    durationNs: nanoseconds(durationMs),
    timeoutNs: nanoseconds(timeoutMs),
    idleNs: nanoseconds(idleMs),
    settleNs: nanoseconds(settleMs),
  });
}
