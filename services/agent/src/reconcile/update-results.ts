import type { RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { InstanceState, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import type { CompleteUpdate, HeldState } from '../cache/held-state.ts';

/**
 * ConfigStatus.results: one per relay of the update. Relays that a snapshot leaves out are removed ones.
 *
 * @param now what each relay is after the update.
 */
export function updateResults(
  update: CompleteUpdate,
  before: HeldState,
  after: HeldState,
  now: ReadonlyMap<string, RelayResult>,
): RelayResult[] {
  const kept = update.upserts.flatMap(({ uid }) => now.get(uid) ?? []);
  const gone = new Set(update.removedUids);
  for (const uid of before.assignments.keys()) if (!after.assignments.has(uid)) gone.add(uid);
  return [...kept, ...[...gone].map((uid) => removedResult(uid, before.assignments.get(uid)?.generation ?? 0n))];
}

function removedResult(uid: string, generation: bigint): RelayResult {
  return {
    uid,
    generation,
    state: InstanceState.UNSPECIFIED,
    removed: true,
    error: undefined,
    effectiveEngine: RelayEngine.UNSPECIFIED,
    engineReason: '',
    applyDuration: undefined,
    outputsDown: [],
    loopSuspected: false,
  };
}
