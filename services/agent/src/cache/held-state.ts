import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { stateHash } from '@mcfleet/common/state-hash';
import type { RelayAssignment } from '@mcfleet/proto/mcfleet/v1/agent_service';

/** What this host shall have, as far as the agent knows. Immutable: an update makes another one. */
export interface HeldState {
  /** The cluster it came from; empty if no controller was ever met. */
  readonly clusterUid: string;
  /** The highest term accepted of that cluster. */
  readonly term: bigint;
  /** The store revision it belongs to; 0 if none. */
  readonly revision: bigint;
  /** By uid. */
  readonly assignments: ReadonlyMap<string, RelayAssignment>;
}

/** What an agent holds before it met a controller. */
export const EMPTY_STATE: HeldState = { clusterUid: '', term: 0n, revision: 0n, assignments: new Map() };

/** Heartbeat.state_hash of a state. */
export function hashOf(state: HeldState): Buffer {
  return stateHash(state.assignments.values());
}

/** All chunks of one ConfigUpdate, put together. */
export interface CompleteUpdate {
  readonly nonce: bigint;
  readonly term: bigint;
  readonly revision: bigint;
  /** 0: exactly `upserts`. Otherwise the difference to this revision. */
  readonly baseRevision: bigint;
  readonly upserts: readonly RelayAssignment[];
  readonly removedUids: readonly string[];
  /** Empty if the controller told none. */
  readonly targetStateHash: Buffer;
}

/**
 * Carries an update out.
 *
 * @param clusterUid the cluster of the session that it came by.
 * @throws FleetError FAILED_PRECONDITION: STALE_CONTROLLER if its term is lower than the highest accepted, BASE_REVISION_MISMATCH
 *   if it is the difference to a state that is not held, STATE_HASH_MISMATCH if the outcome is not what the controller means. The
 *   held state stays; the controller answers with a snapshot.
 */
export function applyUpdate(held: HeldState, clusterUid: string, update: CompleteUpdate): HeldState {
  const sameCluster = clusterUid === held.clusterUid;
  if (sameCluster && update.term < held.term) throw staleController(clusterUid, update.term, held.term);
  const isSnapshot = update.baseRevision === 0n;
  if (!isSnapshot && (!sameCluster || update.baseRevision !== held.revision)) {
    throw new FleetError({
      code: status.FAILED_PRECONDITION,
      reason: 'BASE_REVISION_MISMATCH',
      message:
        `the update is a difference to revision ${update.baseRevision} of cluster ${clusterUid}; ` +
        `this agent holds revision ${held.revision} of cluster ${held.clusterUid || '(none)'} and needs a snapshot`,
    });
  }
  const assignments = new Map(isSnapshot ? [] : held.assignments);
  for (const uid of update.removedUids) assignments.delete(uid);
  for (const assignment of update.upserts) assignments.set(assignment.uid, assignment);
  const next: HeldState = { clusterUid, term: update.term, revision: update.revision, assignments };
  if (update.targetStateHash.length > 0 && !hashOf(next).equals(update.targetStateHash)) {
    throw new FleetError({
      code: status.FAILED_PRECONDITION,
      reason: 'STATE_HASH_MISMATCH',
      message: `after the update to revision ${update.revision} this agent would not hold what the controller means`,
    });
  }
  return next;
}

/** The error that refuses a controller which was restored from an old backup, or lost its leadership. */
export function staleController(clusterUid: string, term: bigint, highest: bigint): FleetError {
  return new FleetError({
    code: status.FAILED_PRECONDITION,
    reason: 'STALE_CONTROLLER',
    message:
      `the controller of cluster ${clusterUid} has term ${term}, lower than ${highest} which this agent has accepted before; ` +
      'it was restored from a backup or is no longer in charge, and its term must be raised',
    metadata: { cluster_uid: clusterUid, term: term.toString(), highest_term: highest.toString() },
  });
}

function otherCluster(held: string, met: string): FleetError {
  return new FleetError({
    code: status.FAILED_PRECONDITION,
    reason: 'OTHER_CLUSTER',
    message:
      `this host belongs to cluster ${held} and the controller to cluster ${met}: it was begun anew with an empty store, or is ` +
      `another one; this agent takes nothing from it and goes on with what it holds. If that controller shall take over, start ` +
      `the agent with --adopt-cluster ${met}; everything that the host forwards is then replaced`,
    metadata: { held_cluster_uid: held, cluster_uid: met },
  });
}

/**
 * Fencing at Welcome.
 *
 * @param adopted the cluster that may take the place of the one that the state came from; empty: none.
 * @returns the state to go on with: its term raised, or unchanged. State of another cluster is kept until the snapshot of the
 *   adopted one replaces it, so that packets flow meanwhile; a host that never met a controller takes any.
 * @throws FleetError FAILED_PRECONDITION, STALE_CONTROLLER or OTHER_CLUSTER.
 */
export function admitController(held: HeldState, clusterUid: string, term: bigint, adopted: string): HeldState {
  if (held.clusterUid === clusterUid) {
    if (term < held.term) throw staleController(clusterUid, term, held.term);
    return term === held.term ? held : { ...held, term };
  }
  if (held.clusterUid === '') return { ...held, clusterUid, term };
  if (clusterUid !== adopted) throw otherCluster(held.clusterUid, clusterUid);
  return held;
}
