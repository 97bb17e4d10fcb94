import type { Forwarder, InterfaceLoss } from '@mcfleet/native';
import { SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { ProgrammedIdentity } from './dataplane.ts';
import type { KernelEngine } from './kernel/kernel-engine.ts';
import { toInputCounters, toOutputLosses, toRelayMessages } from './messages.ts';

/** Relays that are read and encoded at a time. */
const SLICE = 500;

const EMPTY = SnapshotResponse.fromPartial({});

/**
 * SnapshotResponse as bytes. An agent asks every second; the objects of 10,000 relays at once would live long enough to become old
 * garbage, and the process would grow by more than its relays take. Those of a slice die young.
 *
 * @param uids these relays
 * @param losses what the interfaces of outputs lost
 */
export function encodeSnapshot(
  forwarder: Forwarder,
  kernel: KernelEngine,
  programmed: ReadonlyMap<string, ProgrammedIdentity>,
  uids: readonly string[],
  losses: readonly InterfaceLoss[],
  head: Pick<SnapshotResponse, 'mark' | 'partial' | 'time'>,
): Buffer {
  const { inputs } = forwarder.snapshot([]);
  const parts = [
    SnapshotResponse.encode({
      ...head,
      relays: [],
      inputs: inputs.map(toInputCounters),
      outputs: losses.map(toOutputLosses),
    }).finish(),
  ];
  const wanted = [...new Set(uids)].sort();
  for (let at = 0; at < wanted.length; at += SLICE) {
    const slice = wanted.slice(at, at + SLICE);
    const relays = [...forwarder.snapshot(slice).relays, ...kernel.snapshot(slice)];
    parts.push(SnapshotResponse.encode({ ...EMPTY, relays: toRelayMessages(relays, programmed) }).finish());
  }
  // Protobuf: bytes of one type in a row are one message, their repeated fields in a row.
  return Buffer.concat(parts);
}
