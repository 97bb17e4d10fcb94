import type { ResolvedAssignment } from './resolve-relay.ts';

/** A relay that a host holds. */
export interface HeldRelay {
  readonly generation: bigint;
  readonly contentHash: Uint8Array;
}

/** What turns the state that a host holds into the state that it shall hold. */
export interface AssignmentDiff {
  readonly upserts: readonly ResolvedAssignment[];
  readonly removedUids: readonly string[];
}

/** The difference between what a host holds and what it shall hold, both by uid. */
export function diffAssignments(
  held: ReadonlyMap<string, HeldRelay>,
  desired: ReadonlyMap<string, ResolvedAssignment>,
): AssignmentDiff {
  return {
    upserts: [...desired.values()].filter((assignment) => !holds(held.get(assignment.uid), assignment)),
    removedUids: [...held.keys()].filter((uid) => !desired.has(uid)),
  };
}

/** Whether what is held of a relay is the assignment itself. */
export function holds(held: HeldRelay | undefined, { generation, contentHash }: ResolvedAssignment): boolean {
  return held !== undefined && held.generation === generation && contentHash.equals(held.contentHash);
}
