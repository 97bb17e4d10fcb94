import { contentHash } from '@mcfleet/common/state-hash';
import { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffAssignments, type HeldRelay, holds } from './diff-assignments.ts';
import type { ResolvedAssignment } from './resolve-relay.ts';

const uids = ['a', 'b', 'c', 'd', 'e'];
const version = fc.record({ generation: fc.bigInt({ min: 1n, max: 3n }), content: fc.nat(2) });
const state = fc.dictionary(fc.constantFrom(...uids), version);

test('what a host holds, changed by the difference, is what it shall hold; nothing else is sent', () => {
  fc.assert(
    fc.property(state, state, (before, after) => {
      const held = new Map<string, HeldRelay>(
        Object.entries(before).map(([uid, v]) => [
          uid,
          { generation: v.generation, contentHash: contentHash(Buffer.from([v.content])) },
        ]),
      );
      const desired = new Map<string, ResolvedAssignment>(
        Object.entries(after).map(([uid, v]) => [
          uid,
          {
            uid,
            name: uid,
            generation: v.generation,
            relay: ResolvedRelay.fromPartial({}),
            contentHash: contentHash(Buffer.from([v.content])),
          },
        ]),
      );
      const { upserts, removedUids } = diffAssignments(held, desired);
      for (const upsert of upserts) expect(holds(held.get(upsert.uid), upsert)).toBe(false);
      for (const uid of removedUids) held.delete(uid);
      for (const upsert of upserts) held.set(upsert.uid, upsert);
      expect([...held.keys()].sort()).toEqual([...desired.keys()].sort());
      for (const assignment of desired.values()) expect(holds(held.get(assignment.uid), assignment)).toBe(true);
    }),
  );
});
