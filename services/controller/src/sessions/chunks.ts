import { RelayAssignment } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { ResolvedAssignment } from '../resolve/resolve-relay.ts';

/**
 * Bytes of relays in one ConfigUpdate. Messages below HTTP/2's 64 KiB window leave room for heartbeats between them, and grpc-js
 * counts messages, not bytes, before it pushes back.
 */
export const MAX_CHUNK_BYTES = 48 * 1024;
/** Bytes of everything in a ConfigUpdate that is not a relay, with its frame. */
const ENVELOPE_BYTES = 256;

/** A part of an update. */
export interface Chunk {
  readonly upserts: readonly RelayAssignment[];
  readonly removedUids: readonly string[];
}

/** Splits an update into parts that fit into one message each; at least one, if empty. A relay is never split. */
export function splitUpdate(upserts: readonly ResolvedAssignment[], removedUids: readonly string[]): Chunk[] {
  const chunks: { upserts: RelayAssignment[]; removedUids: string[] }[] = [{ upserts: [], removedUids: [] }];
  let bytes = ENVELOPE_BYTES;
  const room = (size: number): { upserts: RelayAssignment[]; removedUids: string[] } => {
    let chunk = chunks.at(-1);
    if (chunk === undefined || (bytes + size > MAX_CHUNK_BYTES && bytes > ENVELOPE_BYTES)) {
      chunk = { upserts: [], removedUids: [] };
      chunks.push(chunk);
      bytes = ENVELOPE_BYTES;
    }
    bytes += size;
    return chunk;
  };
  for (const uid of removedUids) room(uid.length + 2).removedUids.push(uid);
  for (const assignment of upserts) room(encodedSize(assignment)).upserts.push(assignment);
  return chunks;
}

/** Assignments go to many hosts and are measured once. */
const sizes = new WeakMap<ResolvedAssignment, number>();

function encodedSize(assignment: ResolvedAssignment): number {
  const known = sizes.get(assignment);
  if (known !== undefined) return known;
  // Five bytes for tag and length.
  const size = RelayAssignment.encode(assignment).finish().length + 5;
  sizes.set(assignment, size);
  return size;
}
