import { contentHash } from '@mcfleet/common/state-hash';
import { RelayAssignment } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { describe, expect, it } from 'vitest';
import {
  admitController,
  applyUpdate,
  type CompleteUpdate,
  EMPTY_STATE,
  type HeldState,
  hashOf,
} from './held-state.ts';

const relay = (uid: string, generation = 1n): RelayAssignment =>
  RelayAssignment.fromPartial({
    uid,
    name: `relays/${uid}`,
    generation,
    contentHash: contentHash(Buffer.from(`${uid}${generation}`)),
  });
const held = (...assignments: RelayAssignment[]): HeldState => ({
  clusterUid: 'c1',
  term: 5n,
  revision: 10n,
  assignments: new Map(assignments.map((assignment) => [assignment.uid, assignment])),
});
const update = (fields: Partial<CompleteUpdate>): CompleteUpdate => ({
  nonce: 1n,
  term: 5n,
  revision: 11n,
  baseRevision: 0n,
  upserts: [],
  removedUids: [],
  targetStateHash: Buffer.alloc(0),
  ...fields,
});

describe('applyUpdate', () => {
  it('takes a difference to what is held', () => {
    const next = applyUpdate(
      held(relay('a'), relay('b')),
      'c1',
      update({ baseRevision: 10n, upserts: [relay('c'), relay('b', 2n)], removedUids: ['a'] }),
    );
    expect([...next.assignments.values()].map(({ uid, generation }) => `${uid}${generation}`)).toEqual(['b2', 'c1']);
    expect(next.revision).toBe(11n);
  });

  it('replaces everything by a snapshot, also that of another cluster', () => {
    const next = applyUpdate(held(relay('a')), 'c2', update({ term: 1n, revision: 2n, upserts: [relay('z')] }));
    expect(next).toMatchObject({ clusterUid: 'c2', term: 1n, revision: 2n });
    expect([...next.assignments.keys()]).toEqual(['z']);
  });

  it('refuses a lower term, a difference to something else, and an outcome that is not meant', () => {
    const before = held(relay('a'));
    expect(() => applyUpdate(before, 'c1', update({ term: 4n }))).toThrow(
      expect.objectContaining({ reason: 'STALE_CONTROLLER' }),
    );
    for (const [cluster, baseRevision] of [
      ['c1', 9n],
      ['c2', 10n],
    ] as const) {
      expect(() => applyUpdate(before, cluster, update({ baseRevision }))).toThrow(
        expect.objectContaining({ reason: 'BASE_REVISION_MISMATCH' }),
      );
    }
    const targetStateHash = hashOf(held(relay('a'), relay('b')));
    expect(() => applyUpdate(before, 'c1', update({ upserts: [relay('a')], targetStateHash }))).toThrow(
      expect.objectContaining({ reason: 'STATE_HASH_MISMATCH' }),
    );
    expect(
      applyUpdate(before, 'c1', update({ upserts: [relay('b'), relay('a')], targetStateHash })).assignments.size,
    ).toBe(2);
  });
});

describe('admitController', () => {
  it('accepts an equal or higher term of its cluster and remembers the highest', () => {
    const before = held(relay('a'));
    expect(admitController(before, 'c1', 5n, '')).toBe(before);
    expect(admitController(before, 'c1', 6n, '')).toMatchObject({ term: 6n, revision: 10n });
    expect(() => admitController(before, 'c1', 4n, 'c1')).toThrow(
      expect.objectContaining({ reason: 'STALE_CONTROLLER' }),
    );
  });

  it('refuses another cluster, unless the host never met one or was told to adopt that one', () => {
    for (const before of [held(relay('a')), held()]) {
      for (const adopted of ['', 'c3']) {
        expect(() => admitController(before, 'c2', 1n, adopted)).toThrow(
          expect.objectContaining({ reason: 'OTHER_CLUSTER', message: expect.stringContaining('--adopt-cluster c2') }),
        );
      }
      // Until the snapshot replaces it.
      expect(admitController(before, 'c2', 1n, 'c2')).toBe(before);
    }
    expect(admitController(EMPTY_STATE, 'c2', 1n, '')).toMatchObject({ clusterUid: 'c2', term: 1n });
  });
});
