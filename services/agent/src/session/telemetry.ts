import {
  InterfaceInputs,
  InterfaceOutputs,
  RelayTelemetry,
  type TelemetryBatch,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { InterfaceInput, InterfaceOutput, RelayCounters } from '@mcfleet/proto/mcfleet/v1/relay';
import { downOutput } from '../reconcile/relay-result.ts';
import type { RelayPlan } from '../resolve/resolve-relay.ts';
import { ITEM_OVERHEAD, inBatches } from './batches.ts';
import { dropTotal, type LossWatch } from './loss-watch.ts';

/** All that is told of counters, as they were read at one time. */
export interface HostTelemetry {
  readonly relays: readonly RelayTelemetry[];
  readonly inputs: readonly InterfaceInput[];
  readonly outputs: readonly InterfaceOutput[];
}

/** How long after its last loss an interface is taken for one that loses packets. */
const LOSING_MS = 60_000;

/**
 * Chooses what to tell of the counters: relays that changed since they were last told in this session. Counters are totals, so a
 * batch that is lost or left out does no harm.
 */
export class TelemetryDiff {
  #told = new Map<string, Buffer>();
  #toldInputs: Uint8Array = new Uint8Array();
  #toldOutputs: Uint8Array = new Uint8Array();

  /** Batches of relays whose counters changed or are no longer read, and inputs and outputs if one of them did. What is returned counts as told. */
  next({ relays, inputs, outputs }: HostTelemetry, timeUnixNano: bigint): TelemetryBatch[] {
    const told = new Map<string, Buffer>();
    const sizes = new Map<RelayTelemetry, number>();
    for (const relay of relays) {
      const bytes = Buffer.from(RelayTelemetry.encode(relay).finish());
      if (!this.#told.get(relay.uid)?.equals(bytes)) sizes.set(relay, bytes.length);
      told.set(relay.uid, bytes);
    }
    for (const uid of this.#told.keys()) {
      if (!told.has(uid)) sizes.set({ uid, counters: undefined }, uid.length + ITEM_OVERHEAD);
    }
    this.#told = told;
    const batches = inBatches(sizes.keys(), (relay) => sizes.get(relay) ?? 0).map(
      (batch): TelemetryBatch => ({ timeUnixNano, relays: batch, inputs: undefined, outputs: undefined }),
    );
    const allInputs: InterfaceInputs = { interfaces: [...inputs] };
    const inputBytes = InterfaceInputs.encode(allInputs).finish();
    if (Buffer.compare(inputBytes, this.#toldInputs) !== 0) {
      batches.push({ timeUnixNano, relays: [], inputs: allInputs, outputs: undefined });
    }
    this.#toldInputs = inputBytes;
    const allOutputs: InterfaceOutputs = { interfaces: [...outputs] };
    const outputBytes = InterfaceOutputs.encode(allOutputs).finish();
    if (Buffer.compare(outputBytes, this.#toldOutputs) !== 0) {
      batches.push({ timeUnixNano, relays: [], inputs: undefined, outputs: allOutputs });
    }
    this.#toldOutputs = outputBytes;
    return batches;
  }
}

/**
 * Counters as the controller is told: one entry per output in the order of the spec, also for those that are not programmed because
 * the host lacks something.
 *
 * @param losing indexes of interfaces that lose what they take
 */
export function relayTelemetry(
  plans: readonly RelayPlan[],
  snapshot: SnapshotResponse,
  losses: LossWatch,
  losing: ReadonlySet<number>,
): RelayTelemetry[] {
  const counters = new Map(snapshot.relays.map((relay) => [relay.uid, relay.counters]));
  return plans.flatMap((plan) => {
    const programmed = counters.get(plan.uid);
    if (programmed === undefined) return [];
    return [{ uid: plan.uid, counters: withAllOutputs(plan, programmed, losses, losing) }];
  });
}

function withAllOutputs(
  plan: RelayPlan,
  programmed: RelayCounters,
  losses: LossWatch,
  losing: ReadonlySet<number>,
): RelayCounters {
  const byKey = new Map(programmed.outputs.map((output) => [output.output, output]));
  const reasons = new Map(plan.outputsDown.map(({ key, problem }) => [key, problem.reason]));
  const lossy = new Set(
    (plan.program?.outputs ?? []).flatMap(({ key, ifindex }) => (losing.has(ifindex) ? [key] : [])),
  );
  const outputs = plan.outputs.map((key) => {
    const reason = reasons.get(key);
    const found = byKey.get(key) ?? downOutput(key, reason ?? 'NotProgrammed');
    const name = `${plan.uid} ${key}`;
    const told = {
      warning: lossy.has(key) ? 'InterfaceDrops' : (plan.warnings.get(key) ?? ''),
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

/** What the interfaces of outputs lost after they had taken it. By name; `names` is by index. */
export function outputTelemetry(
  names: ReadonlyMap<number, string>,
  { outputs }: SnapshotResponse,
  losses: LossWatch,
): InterfaceOutput[] {
  return outputs
    .flatMap(({ ifindex, drops, startTime }): InterfaceOutput[] => {
      const name = names.get(ifindex);
      // It was deleted, or is too new: the sum is told with the next inventory that has it.
      if (name === undefined) return [];
      const dated = losses.dated(`${name} lost`, drops, startTime);
      return [
        {
          interface: name,
          drops: dated.filter(({ packets }) => packets > 0n),
          lastDropTime: losses.lastRise(`${name} lost`, dropTotal(drops), startTime),
          startTime,
        },
      ];
    })
    .sort((a, b) => (a.interface < b.interface ? -1 : 1));
}

/** Indexes of the interfaces that lose packets now, or did within the last minute. */
export function losingInterfaces(
  names: ReadonlyMap<number, string>,
  outputs: readonly InterfaceOutput[],
  nowMs: number,
): ReadonlySet<number> {
  const losing = new Set(
    outputs.flatMap(({ interface: name, lastDropTime }) =>
      lastDropTime !== undefined && nowMs - lastDropTime.getTime() < LOSING_MS ? [name] : [],
    ),
  );
  return new Set([...names].flatMap(([index, name]) => (losing.has(name) ? [index] : [])));
}
