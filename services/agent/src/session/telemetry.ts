import { RelayTelemetry, type TelemetryBatch } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { RelayCounters } from '@mcfleet/proto/mcfleet/v1/relay';
import { downOutput } from '../reconcile/relay-result.ts';
import type { RelayPlan } from '../resolve/resolve-relay.ts';
import { inBatches } from './batches.ts';

/**
 * Chooses what to tell of the counters: relays that changed since they were last told in this session. Counters are totals, so a
 * batch that is lost or left out does no harm.
 */
export class TelemetryDiff {
  #told = new Map<string, Buffer>();

  /** Batches of relays whose counters changed. What is returned counts as told. */
  next(relays: readonly RelayTelemetry[], timeUnixNano: bigint): TelemetryBatch[] {
    const told = new Map<string, Buffer>();
    const sizes = new Map<RelayTelemetry, number>();
    for (const relay of relays) {
      const bytes = Buffer.from(RelayTelemetry.encode(relay).finish());
      if (!this.#told.get(relay.uid)?.equals(bytes)) sizes.set(relay, bytes.length);
      told.set(relay.uid, bytes);
    }
    this.#told = told;
    return inBatches(sizes.keys(), (relay) => sizes.get(relay) ?? 0).map((batch) => ({ timeUnixNano, relays: batch }));
  }
}

/**
 * Counters as the controller is told: one entry per output in the order of the spec, also for those that are not programmed because
 * the host lacks something.
 */
export function relayTelemetry(plans: readonly RelayPlan[], snapshot: SnapshotResponse): RelayTelemetry[] {
  const counters = new Map(snapshot.relays.map((relay) => [relay.uid, relay.counters]));
  return plans.flatMap((plan) => {
    const programmed = counters.get(plan.uid);
    return programmed === undefined ? [] : [{ uid: plan.uid, counters: withAllOutputs(plan, programmed) }];
  });
}

function withAllOutputs(plan: RelayPlan, programmed: RelayCounters): RelayCounters {
  const byKey = new Map(programmed.outputs.map((output) => [output.output, output]));
  const reasons = new Map(plan.outputsDown.map(({ key, problem }) => [key, problem.reason]));
  const outputs = plan.outputs.map((key) => {
    const reason = reasons.get(key);
    const found = byKey.get(key) ?? downOutput(key, reason ?? 'NotProgrammed');
    return reason === undefined ? found : { ...found, up: false, downReason: reason };
  });
  return { ...programmed, outputs };
}
