import { stateHash } from '@mcfleet/common/state-hash';
import { type Hello, SyncMode } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { HeldRelay } from '../resolve/diff-assignments.ts';
import type { ResolvedAssignment } from '../resolve/resolve-relay.ts';

/** Where a session starts from. */
export interface SyncStart {
  readonly mode: SyncMode;
  /** What the agent holds, by uid; undefined if that cannot be told, so that it needs a snapshot. */
  readonly held: ReadonlyMap<string, HeldRelay> | undefined;
}

/** How a session goes on, from what the agent says it holds and what it shall hold. */
export function startSync(
  hello: Hello,
  store: { readonly clusterUid: string },
  desired: ReadonlyMap<string, ResolvedAssignment>,
): SyncStart {
  const snapshot: SyncStart = { mode: SyncMode.SNAPSHOT, held: undefined };
  // A difference needs a revision to start from, and state of this store.
  if (hello.clusterUid !== store.clusterUid || hello.appliedRevision === 0n) return snapshot;
  if (stateHash(desired.values()).equals(hello.stateHash)) return { mode: SyncMode.UP_TO_DATE, held: desired };
  if (!stateHash(hello.known).equals(hello.stateHash)) return snapshot;
  return { mode: SyncMode.DELTA, held: new Map(hello.known.map((known) => [known.uid, known])) };
}
