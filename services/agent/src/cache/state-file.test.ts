import { RelayAssignment } from '@mcfleet/proto/mcfleet/v1/agent_service';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HeldState, hashOf } from './held-state.ts';
import { decodeStateFile, encodeStateFile } from './state-file.ts';

function state(uids: readonly string[]): HeldState {
  const assignments = uids.map((uid, i) =>
    RelayAssignment.fromPartial({
      uid,
      name: `relays/r${i}`,
      generation: BigInt(i + 1),
      contentHash: Buffer.alloc(16, i),
      relay: { input: { interface: 'in0', group: '239.1.1.1', port: 5001 }, outputs: [{ interface: 'out0', ttl: 3 }] },
    }),
  );
  return { clusterUid: 'c1', term: 7n, revision: 42n, assignments: new Map(assignments.map((a) => [a.uid, a])) };
}

describe('the state file', () => {
  it('holds what was written', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1 })), (uids) => {
        const written = state(uids.map((uid) => uid.toWellFormed()));
        const read = decodeStateFile(encodeStateFile(written));
        expect(read).toEqual(written);
        expect(hashOf(read)).toEqual(hashOf(written));
      }),
    );
  });

  it('is refused when any one bit is not as it was written', () => {
    const bytes = encodeStateFile(state(['a', 'b']));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const broken = Buffer.from(bytes);
      broken.writeUInt8(broken.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(() => decodeStateFile(broken), `bit ${bit}`).toThrow(
        expect.objectContaining({ reason: 'STATE_FILE_CORRUPT' }),
      );
    }
  });

  it('is refused when it was cut anywhere, or something was added', () => {
    const bytes = encodeStateFile(state(['a', 'b']));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeStateFile(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ reason: 'STATE_FILE_CORRUPT' }),
      );
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (more) => {
        expect(() => decodeStateFile(Buffer.concat([bytes, more]))).toThrow(
          expect.objectContaining({ reason: 'STATE_FILE_CORRUPT' }),
        );
      }),
    );
  });
});
