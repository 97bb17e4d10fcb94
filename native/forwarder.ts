import { loadAddon } from './load.ts';
import { checkForwarderOptions, checkRelayProgram } from './relay-checks.ts';
import { DEFAULT_RING_MS, ringBytesFor } from './ring-size.ts';
import type { TransmitCode, TransmitRequest } from './transmit.ts';

/** One relay with everything resolved that depends on the host. Addresses are text, `null` means "as it arrives" or "any". */
export interface RelayProgram {
  /** Key; at most 64 bytes. */
  readonly uid: string;
  /** Input interface index. 0: there is none now; nothing is received, and the counters stay. */
  readonly inputIfindex: number;
  /** Group or local unicast address. */
  readonly group: string;
  /** UDP destination port, 1 to 65535, or any. */
  readonly port: number | null;
  /** VLAN that packets are tagged with, 1 to 4094; `null`: untagged ones. */
  readonly vlan: number | null;
  /** Sources taken; empty means any. */
  readonly sources: readonly string[];
  /** Sources not taken; only if `sources` is empty. */
  readonly excludedSources: readonly string[];
  /** At least one. */
  readonly outputs: readonly OutputProgram[];
  /** How much may pass; `null`: everything. */
  readonly rateLimit: RateLimitProgram | null;
  /** False: packets that come back again and again, as in a loop of relays, go to no output (duplicate_window.h). */
  readonly keepDuplicates: boolean;
  /** Packets that arrive with a lower TTL go to no output: 2 to 255; `null`: every TTL is taken. */
  readonly minTtl: number | null;
}

/** What exceeds one of these goes to no output. Counted by the times of arrival; a super-frame passes or is lost as one. */
export interface RateLimitProgram {
  /** 1 to 10,000,000, or any number. */
  readonly packetsPerSecond: number | null;
  /** Of IP packets. 1000 to 10^12, or any number. */
  readonly bitsPerSecond: number | null;
  /** How many packets may come at once after a pause, 1 to 1,000,000; `null`: what the rate gives in 100 ms. */
  readonly burstPackets: number | null;
}

/** One output of a relay. */
export interface OutputProgram {
  /** Unique within the relay; counters are kept as long as relay uid and key stay. */
  readonly key: string;
  /** Interface index. 0: there is none now; nothing is sent, and the counters stay. */
  readonly ifindex: number;
  /** Destination, multicast or unicast. */
  readonly address: string;
  readonly port: number | null;
  /** 1 to 255; `null`: the arriving TTL minus one, at least 1. */
  readonly ttl: number | null;
  /** Source address; `null`: the arriving one. */
  readonly source: string | null;
  /** 0 to 63; `null`: the arriving one. ECN bits stay. */
  readonly dscp: number | null;
  /** UDP source port; `null`: the arriving one. */
  readonly sourcePort: number | null;
  /** True: a copy longer than the MTU is dropped, also where it may be fragmented. */
  readonly dropOversize: boolean;
}

/** Why one relay was refused. `errno` is a name such as "ENODEV"; `reason` a stable CamelCase code such as "InterfaceNotFound". */
export interface RelayRefusal {
  readonly uid: string;
  readonly errno: string;
  readonly reason: string;
  readonly message: string;
}

export interface DropCount {
  /** lower_snake_case, as in the attribute mcfleet.drop.reason. */
  readonly reason: string;
  readonly packets: bigint;
}

/**
 * In all counters a super-frame counts as the datagrams it stands for, and bytes are those of IP packets, headers included. A
 * datagram that arrives or leaves in fragments counts once, with the bytes of the whole packet.
 */
export interface OutputCounts {
  readonly key: string;
  /** Handed to the kernel without an error. */
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  readonly drops: readonly DropCount[];
  readonly up: boolean;
  /** Stable CamelCase code, empty if up. */
  readonly downReason: string;
  /** Since when these count, Unix time in nanoseconds. */
  readonly startUnixNano: bigint;
  /** How it sends, and why; null while there is no interface. */
  readonly transmit: TransmitCode | null;
}

export interface RelayCounts {
  readonly uid: string;
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
  readonly outputs: readonly OutputCounts[];
  readonly drops: readonly DropCount[];
  /** Unix time in nanoseconds, 0 if no packet matched yet. */
  readonly lastPacketUnixNano: bigint;
  /**
   * How long packets took through the relay, of about one in 16: from the kernel's time stamp of their arrival until all copies were
   * handed to the kernel. Entry 0 counts those below 1 us, entry i those below 2^i us and not below half of that, and entry 23 all
   * from 4.2 s on. Empty entries at the end are left out.
   */
  readonly latencyBuckets: readonly bigint[];
  /** Of the same packets, in nanoseconds. */
  readonly latencySumNano: bigint;
  /** Since when these count, Unix time in nanoseconds. */
  readonly startUnixNano: bigint;
  /** Stable CamelCase code, as RelayCounters.warning; empty if nothing is odd about its input. */
  readonly warning: string;
}

export interface InputCounts {
  readonly ifindex: number;
  /** Taken from the ring. */
  readonly rxPackets: bigint;
  /** Dropped by the kernel because the ring was full. */
  readonly kernelDrops: bigint;
  /** Passed by the kernel's filter and wanted by no relay. */
  readonly unmatched: bigint;
  readonly drops: readonly DropCount[];
  readonly up: boolean;
  readonly downReason: string;
}

/**
 * Packets that an interface took and then lost, of all that leaves by it, whoever sent them. What it refused at once is not among them:
 * that is a drop of the output ("tx_full"). Counted as the kernel counts: of a queue, a super-frame is one. Sums of the interface's
 * name: they go on when it goes and comes again.
 */
export interface InterfaceLoss {
  readonly ifindex: number;
  /** By its queue discipline. */
  readonly queue: bigint;
  /** By the device: tx_dropped of its statistics. */
  readonly deviceDropped: bigint;
  /** By the device: tx_errors of its statistics. */
  readonly deviceErrors: bigint;
  /** Since when these count, Unix time in nanoseconds: since an output first used it. */
  readonly startUnixNano: bigint;
}

export interface ForwarderSnapshot {
  readonly relays: readonly RelayCounts[];
  readonly inputs: readonly InputCounts[];
}

/** Whether what relays take from an interface is kept from the host's own IP stack. */
export interface ExclusiveInputStatus {
  readonly active: boolean;
  /** Why not, for people; empty if it is. */
  readonly reason: string;
  /** Destinations (address and port) whose packets the host does not get. */
  readonly destinations: number;
  /** Relays whose packets the host gets as well: they take some sources only, a VLAN, or all ports of a unicast address. */
  readonly sharedRelays: number;
  /** Destinations that the host gets as well because the kernel's table is full: it takes 16,384. */
  readonly leftOut: number;
}

/**
 * The UDP sockets through which a packet thread sends super-frames to unicast receivers, where the host has rules of its own: one for
 * each source port and receiver, at most 4 for a receiver.
 */
export interface UdpSocketStatus {
  readonly open: number;
  /** Of all packet threads together. */
  readonly most: number;
  /** How often one was asked for and did not fit these bounds: every two seconds once, while packets of its port come. */
  readonly refused: bigint;
  /** How often the kernel did not give one: another program has the port, or there are no descriptors. */
  readonly failed: bigint;
  /** Packets that suited one, and left through the raw socket because there was none, or not yet. */
  readonly packetsWithout: bigint;
}

export interface ForwarderStatus {
  /** For example "engine.userspace.v4", "tx.sendmmsg"; "sched.preferred" where CAP_SYS_NICE lets packets go before other work. */
  readonly capabilities: readonly string[];
  readonly inputs: readonly {
    readonly ifindex: number;
    readonly ringBytes: number;
    readonly ringSlots: number;
    /** 'none': the kernel took no filter (net.core.optmem_max), and every packet of the interface comes to the rules. */
    readonly filter: 'exact' | 'coarse' | 'none';
    readonly memberships: number;
    /** Of the rings for super-frames, which are made when the first one comes; 0 before. */
    readonly longRingBytes: number;
    readonly longRingSlots: number;
    /** Why they could not be made; empty otherwise. Super-frames are then read from a queue, which costs more. */
    readonly longRingError: string;
    /** Whether what relays take is kept from the host; `null`: not asked for (`exclusiveInput`). */
    readonly exclusive: ExclusiveInputStatus | null;
  }[];
  /** By interface and way. */
  readonly outputs: readonly {
    readonly ifindex: number;
    /** 'gso', 'sendmmsg' or 'io_uring'. */
    readonly transmit: string;
    /** For people. */
    readonly reason: string;
    /** How many outputs of relays send so. */
    readonly outputs: number;
  }[];
  /** What takes the place of what `transmit` asks for, if this host does not have that; null otherwise. `reason` is for people. */
  readonly shortfall: { readonly transmit: TransmitCode; readonly reason: string } | null;
  readonly workers: readonly {
    readonly index: number;
    /** Where it runs; null: anywhere. */
    readonly cpu: number | null;
    /** Packets that relays wanted. */
    readonly packets: bigint;
    readonly udpSockets: UdpSocketStatus;
  }[];
}

export interface ForwarderOptions {
  /**
   * Bytes of each input's receive ring, for each worker, in slots of 2048; rounded up to whole blocks of 256 KiB. 256 KiB to 4 GiB.
   * Frames that do not fit a slot wait in a queue that may hold as much again; it is empty without such frames. When the first
   * super-frame of more than 12 KiB comes, another ring of half as many bytes is made for those, in slots of 64 KiB. All rings together have
   * at most half of the host's memory: relays from inputs beyond that are refused ("RingAllocFailed").
   *
   * @default ringBytesFor(DEFAULT_RING_MS)
   */
  readonly ringBytes?: number;
  /**
   * How copies are sent. 'auto' and 'gso': in super-frames where the kernel takes them, and the interface's queue disciplines are
   * known to take or refuse them whole; to unicast addresses 'auto' heeds what rules the host has of its own for what it sends: with
   * nftables or iptables it sends through UDP sockets, of IPv4 only what is of inputs whose relays all have `keepDuplicates`, and the rest,
   * as all with IPsec or routing rules, one by one. 'gso' sends past them all.
   * 'sendmmsg' and 'io_uring': one by one. Where io_uring cannot be had, 'sendmmsg' takes its place. status() tells.
   *
   * @default 'auto'
   */
  readonly transmit?: TransmitRequest;
  /**
   * Microseconds for which the packet thread goes on looking for packets before it sleeps, 0 to 1000. 0: an idle packet path uses no
   * processor time. More makes packets faster by the time that a wake-up takes, and costs up to a whole core.
   *
   * @default 0
   */
  readonly busyPollUs?: number;
  /**
   * Packet threads, 1 to 16. Each packet of an input goes to one of them, by its destination address, so that those of a flow
   * (addresses and ports) stay in order.
   *
   * @default 1
   */
  readonly workers?: number;
  /**
   * The CPU that each packet thread runs on, as many as `workers`; empty: anywhere.
   *
   * @default []
   */
  readonly cpus?: readonly number[];
  /**
   * Whether what relays take from an interface is kept from the host's own IP stack: its programs, its multicast routing, and bridges and
   * macvlans on that interface. Saves processor time where packets arrive. Where the kernel refuses it (before Linux 6.6, without CAP_BPF
   * and CAP_NET_ADMIN), relays forward as without, and status() tells why. It ends with the process.
   *
   * @default false
   */
  readonly exclusiveInput?: boolean;
}

/** The packet path of one host. Threads of its own; the event loop never waits for a packet, nor a packet for the event loop. */
export interface Forwarder {
  /**
   * Changes what is forwarded, off the event loop. Calls are carried out in order. Relays that are refused are answered; all
   * others are in force when the promise resolves, and packets of relays that do not change are neither lost nor repeated. A relay
   * that is refused goes on by its old program if it has one, with `replaceAll` as well. An output whose interface is missing or
   * down is no refusal: it is reported by snapshot() and forwards when the interface comes up.
   *
   * @throws TypeError for values of a wrong type or range; nothing is changed then.
   */
  apply(change: RelayChange): Promise<readonly RelayRefusal[]>;
  /** Counters of these relays, or of all. */
  snapshot(uids: readonly string[] | null): ForwarderSnapshot;
  /**
   * Uids of the relays of which snapshot() may tell something else than at the last call of this: of new ones too, not of those that are
   * gone. What changes during the call is told by it or by the next one. For one caller.
   */
  changes(): readonly string[];
  status(): ForwarderStatus;
  /**
   * What the interfaces of outputs lost, off the event loop. Read from the kernel, at most so often that it takes a twentieth of the
   * time, and the same again in between. Interfaces that are missing are not among them.
   */
  losses(): Promise<readonly InterfaceLoss[]>;
  /** Stops forwarding and frees everything. */
  close(): Promise<void>;
}

/** What a call of apply() changes. */
export interface RelayChange {
  /** True: afterwards exactly `upserts` are forwarded. False: `upserts` and `removedUids` are a difference. */
  readonly replaceAll: boolean;
  readonly upserts: readonly RelayProgram[];
  readonly removedUids: readonly string[];
}

interface Addon {
  readonly Forwarder: new (options: Required<ForwarderOptions>) => Forwarder;
}

/** Checks arguments and keeps calls in order; everything else is native. */
class OrderedForwarder implements Forwarder {
  readonly #native: Forwarder;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(native: Forwarder) {
    this.#native = native;
  }

  apply(change: RelayChange): Promise<readonly RelayRefusal[]> {
    this.#assertOpen();
    for (const relay of change.upserts) checkRelayProgram(relay);
    return this.#afterOthers(() => this.#native.apply(change));
  }

  snapshot(uids: readonly string[] | null): ForwarderSnapshot {
    this.#assertOpen();
    return this.#native.snapshot(uids);
  }

  changes(): readonly string[] {
    this.#assertOpen();
    return this.#native.changes();
  }

  status(): ForwarderStatus {
    this.#assertOpen();
    return this.#native.status();
  }

  losses(): Promise<readonly InterfaceLoss[]> {
    this.#assertOpen();
    return this.#native.losses();
  }

  close(): Promise<void> {
    if (this.#closed) return this.#last as Promise<void>;
    this.#closed = true;
    return this.#afterOthers(() => this.#native.close());
  }

  #afterOthers<Value>(call: () => Promise<Value>): Promise<Value> {
    const result = this.#last.then(call);
    // The next call waits for this one; whether it failed is for the caller of this one to see.
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('the forwarder is closed');
  }
}

/**
 * Starts a packet path with no relay.
 *
 * @throws Error with `code` "EPERM" if the process lacks CAP_NET_RAW, "EINVAL" if it may not use one of `cpus`, or the rings of one input
 *   would have more than half of the host's memory.
 * @throws TypeError for options out of range.
 */
export function createForwarder(options: ForwarderOptions = {}): Forwarder {
  const { ringBytes = ringBytesFor(DEFAULT_RING_MS), transmit = 'auto', busyPollUs = 0 } = options;
  const { workers = 1, cpus = [], exclusiveInput = false } = options;
  const all = { ringBytes, transmit, busyPollUs, workers, cpus, exclusiveInput };
  checkForwarderOptions(all);
  const { Forwarder: NativeForwarder } = loadAddon<Addon>();
  return new OrderedForwarder(new NativeForwarder(all));
}
