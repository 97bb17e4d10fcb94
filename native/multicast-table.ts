import { loadAddon } from './load.ts';

/** 4 or 6. */
export type IpFamily = 4 | 6;

/** What names a route in its table. */
export interface MulticastRouteKey {
  /** Null: any. */
  readonly source: string | null;
  readonly group: string;
  /** Interface index. Routes of any source may differ by it alone. */
  readonly input: number;
}

export interface RouteOutput {
  readonly ifindex: number;
  /** A packet leaves if it arrived with a greater TTL. 1 to 254; only 1 for IPv6. */
  readonly threshold: number;
}

/** Packets of a group that arrive on one interface leave by others. */
export interface MulticastRoute extends MulticastRouteKey {
  readonly outputs: readonly RouteOutput[];
}

/**
 * `set` adds a route or replaces the one with the same key in place; `remove` succeeds if there is none. `join` and `leave` hold group
 * and source at the route's input, counted.
 */
export interface RouteChange {
  readonly action: 'set' | 'remove' | 'join' | 'leave';
  readonly route: MulticastRoute;
}

/** Why a change was not made: a name such as "ENODEV", and what to do. */
export interface RouteFailure {
  readonly errno: string;
  readonly message: string;
}

/** A route as the kernel tells it. */
export interface KernelRoute extends MulticastRoute {
  /** All that matched, those that came in by another interface included, and those with too low a TTL. */
  readonly packets: bigint;
  readonly bytes: bigint;
  /** Those that came in by another interface. */
  readonly wrongInterface: bigint;
  /** Since it was last used, or made. */
  readonly idleMs: number;
}

export interface TableContent {
  /** All of the table, whoever made them. A route of any source lists its input among the outputs too: the kernel wants it so. */
  readonly routes: readonly KernelRoute[];
  /** Routes set here of which an interface was deleted since; they do not reach it, even if it is back, until they are set again. */
  readonly cutOff: readonly MulticastRouteKey[];
}

/** One of the kernel's multicast routing tables. The process owns it: its routes go when it is closed or the process ends. */
export interface MulticastTable {
  /**
   * Carries out the changes one after the other, each all or nothing.
   *
   * @returns one per change: null, or why it was not made
   */
  apply(changes: readonly RouteChange[]): Promise<readonly (RouteFailure | null)[]>;
  /** What the kernel says is in the table. */
  read(): Promise<TableContent>;
  /** Leaves the table to others, empty. */
  close(): Promise<void>;
}

interface Addon {
  openMulticastTable(family: IpFamily, id: number): Promise<MulticastTable>;
}

/** The kernel's own multicast routing tables (RT_TABLE_DEFAULT, RT6_TABLE_DFLT). Packets come to others by rules: `ip mrule`. */
const DEFAULT_TABLES: Readonly<Record<IpFamily, number>> = { 4: 253, 6: 254 };

/** The greatest that both families have (net/ipv6/ip6mr.c, `ip6mr_new_table`). */
const MAX_TABLE = 99_999_999;

/**
 * Reads the number of a table as it is given on a command line.
 *
 * @returns a text if it is none: what is wrong, to follow the option's name
 */
export function readMulticastTable(text: string): number | string {
  const id = Number(text);
  if (/^\d+$/.test(text) && id >= 1 && id <= MAX_TABLE) return id;
  return `is '${text}'; it is the number of a multicast routing table, from 1 to ${MAX_TABLE}`;
}

/** The option as it would be written: "--mroute-table 100". */
export function formatMulticastTable(id: number | undefined): string {
  return id === undefined ? 'no --mroute-table' : `--mroute-table ${id}`;
}

/** For programs that take it: what `--mroute-table N` means. */
export const MULTICAST_TABLE_HELP = [
  "multicast routing table for relays of engine KERNEL; default the kernel's own, which one program at a time can own. To",
  'another one packets come by rules of yours: ip mrule add iif eth0 lookup N',
] as const;

/**
 * Takes a table of this network namespace. No call waits on the event loop.
 *
 * @param id 1 to 99999999
 * @throws Error with a `code`: EADDRINUSE if another program owns it (the message names those that may), EPERM or EACCES without
 *   CAP_NET_RAW and CAP_NET_ADMIN, ENOPROTOOPT from a kernel without multicast routing or several tables
 */
export function openMulticastTable(family: IpFamily, id: number = DEFAULT_TABLES[family]): Promise<MulticastTable> {
  return loadAddon<Addon>().openMulticastTable(family, id);
}
