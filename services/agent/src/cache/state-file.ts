import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { AgentState } from '@mcfleet/proto/mcfleet/v1/agent_state';
import type { HeldState } from './held-state.ts';

/**
 * The layout of the state file:
 *
 *     offset  bytes
 *     0       8      "MCFLEETS"
 *     8       4      version, big endian: 1
 *     12      4      length of the payload, big endian
 *     16      n      mcfleet.v1.AgentState
 *     16+n    32     SHA-256 over everything before
 *
 * The hash covers the header too, so that any cut or flipped bit shows.
 */
const MAGIC = Buffer.from('MCFLEETS', 'latin1');
const VERSION = 1;
const HEADER_BYTES = 16;
const HASH_BYTES = 32;

/** The bytes of a state file. */
export function encodeStateFile(state: HeldState): Buffer {
  const payload = AgentState.encode({
    clusterUid: state.clusterUid,
    term: state.term,
    revision: state.revision,
    assignments: [...state.assignments.values()],
  }).finish();
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(VERSION, 8);
  header.writeUInt32BE(payload.length, 12);
  return Buffer.concat([header, payload, sha256(header, payload)]);
}

/**
 * The state in the bytes of a state file.
 *
 * @throws FleetError DATA_LOSS (STATE_FILE_CORRUPT) if a single bit is not as it was written, UNIMPLEMENTED (STATE_FILE_VERSION)
 *   if another version of the agent wrote it.
 */
export function decodeStateFile(bytes: Buffer): HeldState {
  if (bytes.length < HEADER_BYTES + HASH_BYTES)
    throw corruptStateFile(`it has ${bytes.length} bytes, too few for a state`);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw corruptStateFile('it does not begin like a state file');
  const payloadBytes = bytes.readUInt32BE(12);
  if (bytes.length !== HEADER_BYTES + payloadBytes + HASH_BYTES) {
    throw corruptStateFile(`it has ${bytes.length} bytes, its header says ${HEADER_BYTES + payloadBytes + HASH_BYTES}`);
  }
  const header = bytes.subarray(0, HEADER_BYTES);
  const payload = bytes.subarray(HEADER_BYTES, HEADER_BYTES + payloadBytes);
  if (!sha256(header, payload).equals(bytes.subarray(HEADER_BYTES + payloadBytes))) {
    throw corruptStateFile('its SHA-256 is not that of its content');
  }
  const version = bytes.readUInt32BE(8);
  if (version !== VERSION) {
    throw new FleetError({
      code: status.UNIMPLEMENTED,
      reason: 'STATE_FILE_VERSION',
      message: `it has version ${version}; this agent reads version ${VERSION}`,
    });
  }
  const state = AgentState.decode(payload);
  return {
    clusterUid: state.clusterUid,
    term: state.term,
    revision: state.revision,
    assignments: new Map(state.assignments.map((assignment) => [assignment.uid, assignment])),
  };
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** DATA_LOSS, reason STATE_FILE_CORRUPT. */
export function corruptStateFile(what: string): FleetError {
  return new FleetError({ code: status.DATA_LOSS, reason: 'STATE_FILE_CORRUPT', message: what });
}
