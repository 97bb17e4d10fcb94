import { loadAddon } from './load.ts';

/** One relay with everything resolved that depends on the host. Addresses are text, `null` means "as it arrives" or "any". */
export interface RelayProgram {
  /** Key; at most 64 bytes. */
  readonly uid: string;
  /** Input interface index, at least 1. */
  readonly inputIfindex: number;
  /** Group or local unicast address. */
  readonly group: string;
  /** UDP destination port, 1 to 65535, or any. */
  readonly port: number | null;
  /** Sources taken; empty means any. */
  readonly sources: readonly string[];
  /** At least one. */
  readonly outputs: readonly OutputProgram[];
}

/** One output of a relay. */
export interface OutputProgram {
  /** Unique within the relay; counters are kept as long as relay uid and key stay. */
  readonly key: string;
  readonly ifindex: number;
  /** Destination, multicast or unicast. */
  readonly address: string;
  readonly port: number | null;
  /** 1 to 255; `null`: the arriving TTL minus one, at least 1. */
  readonly ttl: number | null;
  /** Source address; `null`: the arriving one. */
  readonly source: string | null;
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

export interface OutputCounts {
  readonly key: string;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  readonly drops: readonly DropCount[];
  readonly up: boolean;
  /** Stable CamelCase code, empty if up. */
  readonly downReason: string;
}

export interface RelayCounts {
  readonly uid: string;
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
  readonly outputs: readonly OutputCounts[];
  readonly drops: readonly DropCount[];
  /** Unix time in nanoseconds, 0 if no packet matched yet. */
  readonly lastPacketUnixNano: bigint;
}

export interface InputCounts {
  readonly ifindex: number;
  readonly rxPackets: bigint;
  readonly kernelDrops: bigint;
  readonly unmatched: bigint;
  readonly drops: readonly DropCount[];
  readonly up: boolean;
  readonly downReason: string;
}

export interface ForwarderSnapshot {
  readonly relays: readonly RelayCounts[];
  readonly inputs: readonly InputCounts[];
}

export interface ForwarderStatus {
  /** For example "engine.userspace.v4", "tx.sendmmsg". */
  readonly capabilities: readonly string[];
  readonly inputs: readonly {
    readonly ifindex: number;
    readonly ringBytes: number;
    readonly ringSlots: number;
    readonly filter: 'exact' | 'coarse';
    readonly memberships: number;
  }[];
  readonly outputs: readonly { readonly ifindex: number; readonly transmit: string; readonly reason: string }[];
}

export interface ForwarderOptions {
  /** Bytes of each input's receive ring; rounded up to whole blocks. */
  readonly ringBytes: number;
}

/** The packet path of one host. Threads of its own; the event loop never waits for a packet, nor a packet for the event loop. */
export interface Forwarder {
  /**
   * Changes what is forwarded, off the event loop. Calls are carried out in order. Relays that are refused are answered; all
   * others are in force when the promise resolves, and packets of relays that do not change are neither lost nor repeated.
   */
  apply(change: {
    readonly replaceAll: boolean;
    readonly upserts: readonly RelayProgram[];
    readonly removedUids: readonly string[];
  }): Promise<readonly RelayRefusal[]>;
  /** Counters of these relays, or of all. */
  snapshot(uids: readonly string[] | null): ForwarderSnapshot;
  status(): ForwarderStatus;
  /** Stops forwarding and frees everything. */
  close(): Promise<void>;
}

interface Addon {
  createForwarder(options: ForwarderOptions): Forwarder;
}

/**
 * Starts a packet path with no relay.
 *
 * @throws Error with `code` "EPERM" if the process lacks CAP_NET_RAW.
 */
export function createForwarder(options: ForwarderOptions): Forwarder {
  return loadAddon<Addon>().createForwarder(options);
}
