import type { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { RelayInput, RelayOutput } from '@mcfleet/proto/mcfleet/v1/relay';

/** Relays with different keys never conflict. Those with the same key may. */
export function inputKey(relay: ResolvedRelay): string {
  return `${relay.input?.interface} ${relay.input?.vlan ?? 'untagged'} ${relay.input?.group}`;
}

/** An output to which two relays send the same packets. */
export interface SharedOutput {
  /** Of the first relay's outputs. */
  readonly index: number;
  /** "239.10.10.10:6001@eth1". */
  readonly output: string;
}

/** The first output of `a` to which `b` sends the same packets; undefined if there is none. */
export function findConflict(a: ResolvedRelay, b: ResolvedRelay): SharedOutput | undefined {
  return findConflicts(a, b)[0];
}

/**
 * The outputs of `a` to which `b` sends the same packets, in their order. The same input with different outputs is no conflict: both
 * forward.
 */
export function findConflicts(a: ResolvedRelay, b: ResolvedRelay): SharedOutput[] {
  if (a.input === undefined || b.input === undefined || inputKey(a) !== inputKey(b)) return [];
  if (!portsOverlap(a.input, b.input) || !sourcesOverlap(a.input, b.input)) return [];
  // Packets that both take arrive on this port; undefined means on any.
  const arriving = a.input.port ?? b.input.port;
  const targets = new Set(b.outputs.map((output) => target(output, arriving)));
  return a.outputs
    .map((output, index) => ({ index, output: target(output, arriving) }))
    .filter(({ output }) => targets.has(output));
}

function portsOverlap(a: RelayInput, b: RelayInput): boolean {
  return a.port === undefined || b.port === undefined || a.port === b.port;
}

function sourcesOverlap(a: RelayInput, b: RelayInput): boolean {
  if (a.sources.length > 0) return a.sources.some((source) => takesSource(b, source));
  // All but some and all but some others always leave common ones.
  return b.sources.length === 0 || b.sources.some((source) => takesSource(a, source));
}

function takesSource({ sources, excludeSources }: RelayInput, source: string): boolean {
  return sources.length > 0 ? sources.includes(source) : !excludeSources.includes(source);
}

function target({ address, port, interface: name }: RelayOutput, arriving: number | undefined): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${host}:${port ?? arriving ?? '*'}@${name}`;
}
