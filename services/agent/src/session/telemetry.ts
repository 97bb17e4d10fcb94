import { InterfaceInputs, RelayTelemetry, type TelemetryBatch } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { InterfaceInput, RelayCounters } from '@mcfleet/proto/mcfleet/v1/relay';
import { downOutput } from '../reconcile/relay-result.ts';
import type { RelayPlan } from '../resolve/resolve-relay.ts';
import { inBatches } from './batches.ts';
import { dropTotal, type LossWatch } from './loss-watch.ts';

/** All that is told of counters, as they were read at one time. */
export interface HostTelemetry {
  readonly relays: readonly RelayTelemetry[];
  readonly inputs: readonly InterfaceInput[];
}

/**
 * Chooses what to tell of the counters: relays that changed since they were last told in this session. Counters are totals, so a
 * batch that is lost or left out does no harm.
 */
export class TelemetryDiff {
  #told = new Map<string, Buffer>();
  #toldInputs: Uint8Array = new Uint8Array();

  /** Batches of relays whose counters changed, and the inputs if one of them did. What is returned counts as told. */
  next({ relays, inputs }: HostTelemetry, timeUnixNano: bigint): TelemetryBatch[] {
    const told = new Map<string, Buffer>();
    const sizes = new Map<RelayTelemetry, number>();
    for (const relay of relays) {
      const bytes = Buffer.from(RelayTelemetry.encode(relay).finish());
      if (!this.#told.get(relay.uid)?.equals(bytes)) sizes.set(relay, bytes.length);
      told.set(relay.uid, bytes);
    }
    this.#told = told;
    const batches = inBatches(sizes.keys(), (relay) => sizes.get(relay) ?? 0).map(
      (batch): TelemetryBatch => ({ timeUnixNano, relays: batch, inputs: undefined }),
    );
    const all: InterfaceInputs = { interfaces: [...inputs] };
    const bytes = InterfaceInputs.encode(all).finish();
    if (Buffer.compare(bytes, this.#toldInputs) !== 0) batches.push({ timeUnixNano, relays: [], inputs: all });
    this.#toldInputs = bytes;
    return batches;
  }
}

/**
 * Counters as the controller is told: one entry per output in the order of the spec, also for those that are not programmed because
 * the host lacks something.
 */
export function relayTelemetry(
  plans: readonly RelayPlan[],
  snapshot: SnapshotResponse,
  losses: LossWatch,
): RelayTelemetry[] {
  const counters = new Map(snapshot.relays.map((relay) => [relay.uid, relay.counters]));
  return plans.flatMap((plan) => {
    const programmed = counters.get(plan.uid);
    return programmed === undefined ? [] : [{ uid: plan.uid, counters: withAllOutputs(plan, programmed, losses) }];
  });
}

function withAllOutputs(plan: RelayPlan, programmed: RelayCounters, losses: LossWatch): RelayCounters {
  const byKey = new Map(programmed.outputs.map((output) => [output.output, output]));
  const reasons = new Map(plan.outputsDown.map(({ key, problem }) => [key, problem.reason]));
  const outputs = plan.outputs.map((key) => {
    const reason = reasons.get(key);
    const found = byKey.get(key) ?? downOutput(key, reason ?? 'NotProgrammed');
    const name = `${plan.uid} ${key}`;
    const told = {
      warning: plan.warnings.get(key) ?? '',
      drops: losses.dated(name, found.drops),
      lastDropTime: losses.lastRise(name, dropTotal(found.drops)),
    };
    return reason === undefined ? { ...found, ...told } : { ...found, ...told, up: false, downReason: reason };
  });
  return { ...programmed, outputs, drops: losses.dated(plan.uid, programmed.drops) };
}

/** What was received on each interface, and lost there before any relay could be told. By name; `names` is by index. */
export function inputTelemetry(
  names: ReadonlyMap<number, string>,
  { inputs }: SnapshotResponse,
  losses: LossWatch,
): InterfaceInput[] {
  return inputs
    .flatMap(({ ifindex, rxPackets, kernelDrops, unmatched, drops }): InterfaceInput[] => {
      const name = names.get(ifindex);
      // It was deleted, and its ring goes with it.
      if (name === undefined) return [];
      return [
        {
          interface: name,
          rxPackets,
          kernelDrops,
          unmatched,
          drops: losses.dated(`${ifindex} drops`, drops),
          lastKernelDropTime: losses.lastRise(`${ifindex} ring`, kernelDrops),
          lastDropTime: losses.lastRise(`${ifindex} drops`, dropTotal(drops)),
        },
      ];
    })
    .sort((a, b) => (a.interface < b.interface ? -1 : 1));
}
