import { hostName, relayInstanceName } from '@mcfleet/common/names';
import { fromRpcStatus, toRpcStatus } from '@mcfleet/common/status-details';
import type { RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { InstanceState, type Relay, RelayEngine, type RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { refusal } from '../errors.ts';
import type { Blocked } from '../resolve/place.ts';
import { atTransition, camelCase, type Observation, statusOf } from './conditions.ts';
import type { InstanceRecord } from './instance-book.ts';
import { keyOf } from './placement.ts';

/** Everything that is known of one relay on one host. */
export interface InstanceFacts {
  readonly relay: Relay;
  readonly host: string;
  readonly connected: boolean;
  readonly record: InstanceRecord | undefined;
  /** Set if an older relay keeps it from the host. */
  readonly blocked: Blocked | undefined;
}

/** What an instance is, in the terms that conditions and sums are made of. */
export interface InstanceVerdict {
  readonly state: InstanceState;
  /** Forwards by the relay's present generation; undefined if that cannot be told. */
  readonly programmed: boolean | undefined;
  /** Programmed, and every interface is there. */
  readonly ready: boolean | undefined;
  readonly reason: string;
  readonly message: string;
}

/** Judges an instance. */
export function judge(facts: InstanceFacts): InstanceVerdict {
  const { relay, host, record, blocked, connected } = facts;
  if (blocked !== undefined) {
    const message = conflictMessage(blocked, host);
    return { state: InstanceState.FAILED, programmed: false, ready: false, reason: 'Conflict', message };
  }
  const result = record?.result;
  if (result === undefined) {
    const state = InstanceState.UNKNOWN;
    if (!connected) return { state, programmed: undefined, ready: undefined, ...notConnected(host) };
    const message = `host ${host} has not answered yet`;
    return { state, programmed: undefined, ready: undefined, reason: 'NotAnswered', message };
  }
  const seen = judgeResult(facts);
  if (!connected) return { ...seen, ready: undefined, ...notConnected(host) };
  if (result.generation !== relay.generation) {
    const message = `host ${host} answered for generation ${result.generation} and not yet for ${relay.generation}`;
    return { ...seen, programmed: false, ready: false, reason: 'Updating', message };
  }
  return seen;
}

function judgeResult({ host, record }: InstanceFacts): InstanceVerdict {
  const result = record?.result;
  const state = result?.state ?? InstanceState.UNKNOWN;
  const error = result?.error === undefined ? undefined : fromRpcStatus(result.error);
  const reason = error === undefined ? '' : camelCase(error.reason);
  switch (state) {
    case InstanceState.READY:
      return { state, programmed: true, ready: true, reason: 'Forwarding', message: 'every output forwards' };
    case InstanceState.DEGRADED: {
      const down = (result?.outputsDown ?? []).map(({ output, downReason }) => `${output} (${downReason || 'down'})`);
      const message = error?.message ?? `these outputs do not forward: ${down.join(', ')}`;
      return { state, programmed: true, ready: false, reason: reason || 'OutputsDown', message };
    }
    case InstanceState.PENDING: {
      const message = error?.message ?? `it waits for something on host ${host}`;
      return { state, programmed: false, ready: false, reason: reason || 'Waiting', message };
    }
    case InstanceState.FAILED: {
      const message = error?.message ?? `host ${host} refused it and did not say why`;
      return { state, programmed: false, ready: false, reason: reason || 'Refused', message };
    }
    default: {
      const message = `host ${host} cannot tell`;
      return {
        state: InstanceState.UNKNOWN,
        programmed: undefined,
        ready: undefined,
        reason: reason || 'Unknown',
        message,
      };
    }
  }
}

/** The instance as the API shows it, without its counters and those of its interfaces. */
export function instanceView(facts: InstanceFacts, previous: RelayInstance | undefined, now: Date): RelayInstance {
  const { relay, host, record, blocked } = facts;
  const verdict = judge(facts);
  const { reason, message } = verdict;
  const observedGeneration = blocked === undefined ? (record?.answeredGeneration ?? 0n) : relay.generation;
  // What the host last said stays true of what it programs, until it says otherwise; only readiness needs it to be there.
  const programmed = judgedByHost(facts) ? judgeResult(facts).programmed : verdict.programmed;
  const observations: Observation[] = [
    programmed === true
      ? { type: 'Programmed', status: statusOf(true), observedGeneration, ...programmedWell(facts) }
      : { type: 'Programmed', status: statusOf(programmed), observedGeneration, reason, message },
    { type: 'Ready', status: statusOf(verdict.ready), observedGeneration, reason, message },
  ];
  const result = record?.result;
  if (result?.loopSuspected === true) observations.push(loopObservation(host, observedGeneration));
  return {
    name: relayInstanceName(host, keyOf(relay)),
    relay: relay.name,
    host: hostName(host),
    relayUid: relay.uid,
    desiredGeneration: relay.generation,
    appliedGeneration: blocked === undefined ? (record?.appliedGeneration ?? 0n) : 0n,
    state: verdict.state,
    effectiveEngine: result?.effectiveEngine ?? RelayEngine.UNSPECIFIED,
    engineReason: result?.engineReason ?? '',
    conditions: atTransition(observations, previous?.conditions, now),
    lastError: blocked === undefined ? refusalOf(result) : toRpcStatus(refusal('RELAY_CONFLICT', message)),
    counters: undefined,
    countersTime: undefined,
    lastApplyDuration: result?.applyDuration,
    input: undefined,
    outputInterfaces: [],
  };
}

/** What is well with a relay that is programmed; what is not is told by the condition Ready. */
function programmedWell({ relay, record, connected }: InstanceFacts): { reason: string; message: string } {
  const told = connected ? '' : ', as the host said last';
  const message = `the host forwards by generation ${record?.result?.generation ?? relay.generation}${told}`;
  return { reason: 'Programmed', message };
}

/** What a host waits for is no refusal; the conditions tell it. */
function refusalOf(result: RelayResult | undefined): RelayInstance['lastError'] {
  return result?.state === InstanceState.FAILED ? result.error : undefined;
}

function loopObservation(host: string, observedGeneration: bigint): Observation {
  const message =
    `host ${host} drops packets that come back to it: look for relays that send to each other; ` +
    'change the group, port or interface of one, or set loop_protection.keep_duplicates if there is no loop';
  const reason = 'PacketsComeBack';
  return { type: 'LoopSuspected', status: statusOf(true), observedGeneration, reason, message };
}

function judgedByHost({ blocked, record }: InstanceFacts): boolean {
  return blocked === undefined && record?.result !== undefined;
}

/** The conflict for people. */
export function conflictMessage({ relay, by, output }: Blocked, host: string): string {
  return `${relay.name} and ${by.name} would both send the same packets to ${output} on host ${host}: change the input or output of one of them, or its hosts`;
}

function notConnected(host: string): { reason: string; message: string } {
  return { reason: 'HostNotConnected', message: `the agent of host ${host} is not connected` };
}
