import { fromUnixNano } from '@mcfleet/common/duration';
import type {
  DropCount,
  ForwarderOptions,
  ForwarderStatus,
  InputCounts,
  InterfaceLoss,
  RelayCounts,
} from '@mcfleet/native';
import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import type {
  InputCounters,
  InputStatus,
  OutputLosses,
  OutputStatus,
  PacketPathOptions,
  ProgrammedRelayCounters,
  WorkerStatus,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { DropCounter, RelayCounters } from '@mcfleet/proto/mcfleet/v1/relay';
import type { ProgrammedIdentity } from './dataplane.ts';
import { shortfallReason, toTransmit } from './transmit.ts';

/** The counters of relays that are programmed, by uid. */
export function toRelayMessages(
  relays: readonly RelayCounts[],
  programmed: ReadonlyMap<string, ProgrammedIdentity>,
): ProgrammedRelayCounters[] {
  const messages: ProgrammedRelayCounters[] = [];
  for (const counts of relays) {
    const identity = programmed.get(counts.uid);
    if (identity !== undefined) messages.push({ uid: counts.uid, ...identity, counters: toRelayCounters(counts) });
  }
  return messages.sort((a, b) => (a.uid < b.uid ? -1 : 1));
}

export function toInputCounters(counts: InputCounts): InputCounters {
  return { ...counts, drops: toDrops(counts.drops) };
}

/** Reasons of which nothing was lost as well: who reads this sees them rise from zero. */
export function toOutputLosses(loss: InterfaceLoss): OutputLosses {
  const drops = [
    { reason: 'queue', packets: loss.queue },
    { reason: 'device_dropped', packets: loss.deviceDropped },
    { reason: 'device_error', packets: loss.deviceErrors },
  ];
  return { ifindex: loss.ifindex, drops: toDrops(drops), startTime: fromUnixNano(loss.startUnixNano) };
}

export function toInputStatus(input: ForwarderStatus['inputs'][number]): InputStatus {
  return {
    ...input,
    ringBytes: BigInt(input.ringBytes),
    longRingBytes: BigInt(input.longRingBytes),
    exclusive: input.exclusive ?? undefined,
  };
}

export function toOutputStatus(output: ForwarderStatus['outputs'][number]): OutputStatus {
  return { ...output };
}

export function toWorkerStatus({ cpu, ...rest }: ForwarderStatus['workers'][number]): WorkerStatus {
  return { ...rest, cpu: cpu ?? undefined };
}

export function toPacketPathOptions(
  { ringBytes, cpus, ...rest }: Required<ForwarderOptions>,
  mrouteTable: number | undefined,
): PacketPathOptions {
  return { ...rest, ringBytes: BigInt(ringBytes), cpus: [...cpus], mrouteTable };
}

/** What is not as the options ask for. */
export function toConditions({ shortfall }: ForwarderStatus): Condition[] {
  if (shortfall === null) return [];
  const reason = shortfallReason(shortfall.transmit);
  const status = ConditionStatus.TRUE;
  const untold = { observedGeneration: 0n, lastTransitionTime: undefined };
  return [{ type: 'TransmitUnavailable', status, reason, message: shortfall.reason, ...untold }];
}

function toRelayCounters(counts: RelayCounts): RelayCounters {
  return {
    rxPackets: counts.rxPackets,
    rxBytes: counts.rxBytes,
    outputs: counts.outputs.map(({ key, drops, startUnixNano, transmit, ...rest }) => ({
      output: key,
      drops: toDrops(drops),
      startTime: fromUnixNano(startUnixNano),
      lastDropTime: undefined,
      warning: '',
      ...toTransmit(transmit),
      ...rest,
    })),
    drops: toDrops(counts.drops),
    lastPacketTime: fromUnixNano(counts.lastPacketUnixNano),
    startTime: fromUnixNano(counts.startUnixNano),
    warning: counts.warning,
    latency:
      counts.latencyBuckets.length === 0
        ? undefined
        : { counts: [...counts.latencyBuckets], sumNanoseconds: counts.latencySumNano },
  };
}

function toDrops(drops: readonly DropCount[]): DropCounter[] {
  // The agent sees them rise.
  return drops.map(({ reason, packets }) => ({ reason, packets, lastDropTime: undefined }));
}
