import { InstanceState, type Relay, type RelayStatus } from '@mcfleet/proto/mcfleet/v1/relay';
import type { RelayLoop } from '../loops/find-loops.ts';
import { atTransition, type Observation, statusOf } from './conditions.ts';
import { type InstanceFacts, type InstanceVerdict, judge } from './instance-view.ts';

/** The most hosts that RelayStatus.sample_failures names. */
const MAX_SAMPLES = 5;

/** Steps of a loop that a message names. */
const MAX_STEPS = 8;

/** The relay with its status over all its hosts. `loop`: that it may be in. */
export function relayView(
  relay: Relay,
  instances: readonly InstanceFacts[],
  loop: RelayLoop | undefined,
  previous: Relay | undefined,
  now: Date,
): Relay {
  const judged = instances.map((facts) => ({ facts, verdict: judge(facts) }));
  const verdicts = judged.map(({ verdict }) => verdict);
  const isCurrent = ({ record, blocked }: InstanceFacts): boolean =>
    blocked === undefined && record?.appliedGeneration === relay.generation;
  const answered = instances.map(({ record, blocked }) =>
    blocked === undefined ? (record?.answeredGeneration ?? 0n) : 0n,
  );
  const failing = judged.filter(({ verdict }) => verdict.ready !== true).map(({ facts }) => facts.host);
  const status: RelayStatus = {
    observedGeneration: lowest(answered),
    conditions: atTransition(
      [...observe(relay, instances, verdicts), ...observeLoop(relay, loop)],
      previous?.uid === relay.uid ? previous.status?.conditions : undefined,
      now,
    ),
    desiredInstances: instances.length,
    updatedInstances: instances.filter(isCurrent).length,
    readyInstances: verdicts.filter(({ ready }) => ready === true).length,
    failedInstances: verdicts.filter(({ state }) => state === InstanceState.FAILED).length,
    sampleFailures: failing.sort().slice(0, MAX_SAMPLES),
  };
  return { ...relay, reconciling: !instances.every(isCurrent), status };
}

function observe(
  relay: Relay,
  instances: readonly InstanceFacts[],
  verdicts: readonly InstanceVerdict[],
): Observation[] {
  const observedGeneration = relay.generation;
  if (instances.length === 0) {
    const reason = 'NoHosts';
    const message = 'no host matches spec.hosts: label one, or name one';
    return ['Accepted', 'Programmed', 'Ready'].map((type) => ({
      type,
      status: statusOf(false),
      observedGeneration,
      reason,
      message,
    }));
  }
  const placed = instances.filter(({ blocked }) => blocked === undefined).length;
  const accepted: Observation =
    placed > 0
      ? {
          type: 'Accepted',
          status: statusOf(true),
          observedGeneration,
          reason: 'Placed',
          message: `placed on ${hosts(placed)}`,
        }
      : {
          type: 'Accepted',
          status: statusOf(false),
          observedGeneration,
          reason: 'Conflict',
          message: verdicts[0]?.message ?? '',
        };
  return [accepted, summarize('Programmed', ({ programmed }) => programmed), summarize('Ready', ({ ready }) => ready)];

  /** Holds if it holds on every host; does not if it does not on one; else it cannot be told. */
  function summarize(type: string, fact: (verdict: InstanceVerdict) => boolean | undefined): Observation {
    const count = verdicts.length;
    const blamed = verdicts.find((each) => fact(each) === false) ?? verdicts.find((each) => fact(each) === undefined);
    if (blamed === undefined) {
      const said =
        type === 'Ready'
          ? { reason: 'Forwarding', message: `ready on ${hosts(count)}` }
          : { reason: 'Programmed', message: `programmed on ${hosts(count)}` };
      return { type, status: statusOf(true), observedGeneration, ...said };
    }
    const others = verdicts.filter((each) => fact(each) !== true).length - 1;
    const message = others > 0 ? `${blamed.message} (and ${others} more of ${hosts(count)})` : blamed.message;
    return { type, status: statusOf(fact(blamed)), observedGeneration, reason: blamed.reason, message };
  }
}

function observeLoop({ generation }: Relay, loop: RelayLoop | undefined): Observation[] {
  if (loop === undefined) return [];
  const named = loop.steps.slice(0, MAX_STEPS).map(({ relay, host }) => `${relay} on ${host}`);
  const more = loop.steps.length - named.length;
  const first = loop.steps[0]?.relay ?? '';
  const circle = [...named, ...(more > 0 ? [`${more} more`] : []), first].join(' -> ');
  const others = loop.relays.length - new Set(loop.steps.map(({ relay }) => relay)).size;
  const message =
    `these relays may send to each other without end: ${circle}` +
    (others > 0 ? ` (and so may ${others} more that they are joined with)` : '') +
    '. Hosts end what they see go round, at the price of packets that arrive twice; let one output use a group that none of them takes' +
    ', let one input exclude the source of what comes back, or give their loop_protection a min_ttl and leave out every ttl';
  return [
    {
      type: 'LoopPossible',
      status: statusOf(true),
      observedGeneration: generation,
      reason: 'RelaysInACircle',
      message,
    },
  ];
}

function lowest(generations: readonly bigint[]): bigint {
  let low = generations[0] ?? 0n;
  for (const generation of generations) if (generation < low) low = generation;
  return low;
}

function hosts(count: number): string {
  return count === 1 ? '1 host' : `${count} hosts`;
}
