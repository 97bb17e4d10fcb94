import { status } from '@grpc/grpc-js';
import type { RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import {
  InstanceState,
  type OutputCounters,
  type RelayCounters,
  RelayEngine,
  TransmitReason,
  TransmitWay,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { combine, type Problem, problemStatus } from '../resolve/problem.ts';
import type { RelayPlan } from '../resolve/resolve-relay.ts';
import { isWaiting } from './refusals.ts';

/** What the data plane said last about a programmed relay. */
export interface Runtime {
  readonly counters: RelayCounters;
  /** InputCounters.down_reason of its input interface; empty if packets are received. */
  readonly inputDown: string;
  /** Whether packets seem to come back (LoopWatch). */
  readonly loopSuspected: boolean;
}

/** What became of a plan at the data plane. */
export type ProgramOutcome =
  /** Programmed. */
  | { readonly kind: 'programmed'; readonly runtime: Runtime | undefined }
  | { readonly kind: 'refused'; readonly problem: Problem }
  /** No data plane to program; `message` says so, and why. */
  | { readonly kind: 'no_dataplane'; readonly message: string }
  /** The plan has no program. */
  | { readonly kind: 'not_programmed' };

/** What a relay is now, as the controller is told. Pure. `applyDuration` is left to the caller. */
export function relayResult(plan: RelayPlan, outcome: ProgramOutcome): RelayResult {
  if (plan.verdict === 'refused') return result(plan, InstanceState.FAILED, plan.problem, []);
  switch (outcome.kind) {
    case 'not_programmed':
      return result(plan, InstanceState.PENDING, plan.problem, downOutputs(plan, undefined));
    case 'no_dataplane':
      // A missing interface is the nearer reason: it stays when the data plane is back.
      return result(plan, InstanceState.PENDING, plan.problem ?? dataplaneProblem(outcome.message), []);
    case 'refused': {
      const state = isWaiting(outcome.problem) ? InstanceState.PENDING : InstanceState.FAILED;
      return result(plan, state, outcome.problem, []);
    }
    case 'programmed': {
      const down = downOutputs(plan, outcome.runtime?.counters);
      const forwards = {
        ...result(plan, InstanceState.READY, undefined, down),
        effectiveEngine: engineOf(plan),
        loopSuspected: outcome.runtime?.loopSuspected ?? false,
      };
      if (plan.problem !== undefined) return { ...forwards, ...pending(plan.problem) };
      if (outcome.runtime !== undefined && outcome.runtime.inputDown !== '') {
        return { ...forwards, ...pending(inputProblem(plan.input, outcome.runtime.inputDown)) };
      }
      if (down.length === 0) return forwards;
      const problem = outputsProblem(plan, down);
      if (down.length === plan.outputs.length) return { ...forwards, ...pending(problem) };
      return { ...forwards, state: InstanceState.DEGRADED, error: problemStatus(problem) };
    }
  }
}

function pending(problem: Problem): Pick<RelayResult, 'state' | 'error'> {
  return { state: InstanceState.PENDING, error: problemStatus(problem) };
}

/** None where the data plane only keeps the counters. */
function engineOf({ engine, program }: RelayPlan): RelayEngine {
  return program === undefined || program.inputIfindex === 0
    ? RelayEngine.UNSPECIFIED
    : (engine ?? RelayEngine.UNSPECIFIED);
}

function result(
  plan: RelayPlan,
  state: InstanceState,
  problem: Problem | undefined,
  outputsDown: OutputCounters[],
): RelayResult {
  return {
    uid: plan.uid,
    generation: plan.generation,
    state,
    removed: false,
    error: problem === undefined ? undefined : problemStatus(problem),
    effectiveEngine: RelayEngine.UNSPECIFIED,
    engineReason: plan.engineReason,
    applyDuration: undefined,
    outputsDown,
    loopSuspected: false,
  };
}

/** Outputs that do not forward, by what the host knows and by what the data plane met, in the order of the spec. */
function downOutputs(plan: RelayPlan, runtime: RelayCounters | undefined): OutputCounters[] {
  const reasons = new Map<string, string>();
  for (const output of runtime?.outputs ?? []) if (!output.up) reasons.set(output.output, output.downReason);
  for (const { key, problem } of plan.outputsDown) reasons.set(key, problem.reason);
  return plan.outputs.flatMap((key) => {
    const reason = reasons.get(key);
    return reason === undefined ? [] : [downOutput(key, reason)];
  });
}

/** An output that sends nothing, without counters. */
export function downOutput(output: string, downReason: string): OutputCounters {
  const never = { startTime: undefined, lastDropTime: undefined };
  const unsent = { transmit: TransmitWay.UNSPECIFIED, transmitReason: TransmitReason.UNSPECIFIED };
  return { output, txPackets: 0n, txBytes: 0n, drops: [], up: false, downReason, warning: '', ...unsent, ...never };
}

function runtimeProblem(down: readonly OutputCounters[]): Problem {
  const [first] = down;
  return {
    code: status.UNAVAILABLE,
    reason: first?.downReason || 'OutputDown',
    message: `the data plane cannot send to ${down.map(({ output }) => output).join(', ')}`,
  };
}

/** What the outputs lack that do not forward: first what the host knows of, which is the nearer reason. */
function outputsProblem(plan: RelayPlan, down: readonly OutputCounters[]): Problem {
  const known = new Set(plan.outputsDown.map(({ key }) => key));
  const others = down.filter(({ output }) => !known.has(output));
  const problems = plan.outputsDown.map(({ problem }) => problem);
  return combine(others.length === 0 ? problems : [...problems, runtimeProblem(others)]);
}

function inputProblem(name: string, reason: string): Problem {
  return {
    code: status.UNAVAILABLE,
    reason,
    message: `the data plane cannot receive from input interface ${name}: ${reason}`,
  };
}

function dataplaneProblem(message: string): Problem {
  return {
    code: status.UNAVAILABLE,
    reason: 'DataplaneUnavailable',
    message,
  };
}
