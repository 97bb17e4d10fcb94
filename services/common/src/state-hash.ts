import { createHash } from 'node:crypto';

/** SHA-256 is cut to this many bytes on the wire. */
const HASH_BYTES = 16;

/** What one relay adds to the hash of a host's state. */
export interface HashedRelay {
  /** Relay.uid. */
  readonly uid: string;
  /** Relay.generation. */
  readonly generation: bigint;
  /** `contentHash` of the serialized ResolvedRelay. */
  readonly contentHash: Uint8Array;
}

/** RelayAssignment.content_hash: SHA-256, cut to 16 bytes. */
export function contentHash(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, HASH_BYTES);
}

/** Heartbeat.state_hash (agent_service.proto): equal on both ends exactly if host and controller mean the same relays. */
export function stateHash(relays: Iterable<HashedRelay>): Buffer {
  const hash = createHash('sha256');
  const sorted = [...relays].sort((a, b) => (a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0));
  for (const relay of sorted) {
    hash.update(`${relay.uid} ${relay.generation} ${Buffer.from(relay.contentHash).toString('hex')}\n`);
  }
  return hash.digest().subarray(0, HASH_BYTES);
}
