import { ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffPrograms } from './diff.ts';

const programs = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.nat({ max: 3 }));

function toPrograms(byUid: Record<string, number>): ProgrammedRelay[] {
  return Object.entries(byUid).map(([uid, version]) =>
    ProgrammedRelay.fromPartial({ uid, digest: Buffer.from([version]) }),
  );
}

describe('diffPrograms', () => {
  it('turns what is programmed into what shall be, sends nothing that agrees, and nothing twice', () => {
    fc.assert(
      fc.property(programs, programs, (desired, present) => {
        const diff = diffPrograms(toPrograms(desired), toPrograms(present));
        const after = { ...present };
        for (const uid of diff.removedUids) delete after[uid];
        for (const { uid, digest } of diff.upserts) after[uid] = digest[0] ?? -1;
        expect(after).toEqual(desired);
        for (const { uid } of diff.upserts) expect(present[uid]).not.toBe(desired[uid]);
        for (const uid of diff.removedUids) expect(Object.hasOwn(desired, uid)).toBe(false);
        expect(new Set(diff.upserts.map(({ uid }) => uid)).size).toBe(diff.upserts.length);
      }),
    );
  });

  it('is empty for a data plane that was adopted and agrees', () => {
    const same = toPrograms({ a: 1, b: 2 });
    expect(diffPrograms(same, same)).toEqual({ upserts: [], removedUids: [] });
  });
});
