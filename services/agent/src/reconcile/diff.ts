import type { ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/** What the data plane says it has: one entry of SnapshotResponse. */
export interface Programmed {
  readonly uid: string;
  readonly digest: Uint8Array;
}

/** What to send so that the data plane has what it shall have. One call carries both, so that old relays go after new ones came. */
export interface ProgramDiff {
  readonly upserts: ProgrammedRelay[];
  readonly removedUids: string[];
}

/**
 * The difference between what shall be programmed and what is. The latter is always read from the data plane, never remembered:
 * it may have been restarted, or programmed by an agent before this one.
 */
export function diffPrograms(desired: Iterable<ProgrammedRelay>, programmed: Iterable<Programmed>): ProgramDiff {
  const present = new Map<string, Uint8Array>();
  for (const { uid, digest } of programmed) present.set(uid, digest);
  const upserts: ProgrammedRelay[] = [];
  for (const program of desired) {
    const digest = present.get(program.uid);
    if (digest === undefined || !program.digest.equals(digest)) upserts.push(program);
    present.delete(program.uid);
  }
  return { upserts, removedUids: [...present.keys()] };
}
