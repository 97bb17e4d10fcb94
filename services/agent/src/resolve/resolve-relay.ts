import { isIPv6 } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { RelayAssignment, ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { ProgrammedOutput, ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { RelayEngine, RelayInput, RelayOutput } from '@mcfleet/proto/mcfleet/v1/relay';
import { withDigest } from './digest.ts';
import { chooseEngine } from './engine-choice.ts';
import { type InterfacesByName, linkProblem, notFound, sourceAddress } from './local-interfaces.ts';
import { outputKeys } from './output-key.ts';
import type { Problem } from './problem.ts';

/** What the host knows and the controller does not. */
export interface LocalFacts {
  readonly interfaces: InterfacesByName;
  /** StatusResponse.capabilities of the data plane; undefined before one answered. */
  readonly capabilities: ReadonlySet<string> | undefined;
}

/** An output that does not forward. */
export interface DownOutput {
  readonly key: string;
  readonly problem: Problem;
}

/** What one assignment comes to on this host. */
export interface RelayPlan {
  readonly uid: string;
  readonly name: string;
  readonly generation: bigint;
  /** `refused`: cannot run here as it is written. `waiting`: for something of this host. `forward`: at least one output works. */
  readonly verdict: 'refused' | 'waiting' | 'forward';
  /** Why it is refused or waits. */
  readonly problem: Problem | undefined;
  /** What the data plane shall have; undefined: nothing. A waiting relay may have one: it starts when a link comes up. */
  readonly program: ProgrammedRelay | undefined;
  /** Names of all outputs, in the order of the spec. */
  readonly outputs: readonly string[];
  readonly outputsDown: readonly DownOutput[];
  readonly engine: RelayEngine | undefined;
  readonly engineReason: string;
}

/** The `source` of an output that asks for the first address of its interface. */
const INTERFACE = 'INTERFACE';
/** The `source` of an output that keeps the arriving one. */
const KEEP = 'KEEP';

/**
 * Resolves names and addresses of one relay on this host. Pure: the same facts give the same plan, whatever happened before.
 *
 * An interface that exists and is down stays in the program, so that the packet path takes up again in the moment it comes up and
 * its counters go on; one that is missing, or has no address where one is needed, cannot be programmed.
 */
export function resolveRelay(assignment: RelayAssignment, facts: LocalFacts): RelayPlan {
  const relay = assignment.relay;
  const base = {
    uid: assignment.uid,
    name: assignment.name,
    generation: assignment.generation,
    outputs: relay === undefined ? [] : outputKeys(relay),
    program: undefined,
    outputsDown: [],
    engine: undefined,
    engineReason: '',
  };
  if (relay?.input === undefined || relay.outputs.length === 0) {
    const message = `${assignment.name} was sent without an input or output; upgrade the agent to the controller's version`;
    return {
      ...base,
      verdict: 'refused',
      problem: { code: status.INVALID_ARGUMENT, reason: 'InvalidAssignment', message },
    };
  }
  const choice = chooseEngine(relay, facts.capabilities ?? new Set());
  if ('code' in choice) return { ...base, verdict: 'refused', problem: choice };
  const chosen = { ...base, engine: choice.engine, engineReason: choice.reason };

  const family = isIPv6(relay.input.group) ? 6 : 4;
  if (family === 6 && facts.capabilities !== undefined && !facts.capabilities.has('engine.userspace.v6')) {
    return { ...chosen, verdict: 'refused', problem: noIpv6(relay.input) };
  }
  const input = facts.interfaces.get(relay.input.interface);
  if (input === undefined) {
    return { ...chosen, verdict: 'waiting', problem: notFound(relay.input.interface) };
  }
  const { outputs, down } = resolveOutputs(relay, chosen.outputs, family, facts.interfaces);
  const program = outputs.length === 0 ? undefined : programOf(assignment, relay, input.index, outputs);
  const inputProblem = linkProblem(input);
  const problem = inputProblem ?? (down.length === relay.outputs.length ? allDown(down) : undefined);
  return { ...chosen, program, outputsDown: down, problem, verdict: problem === undefined ? 'forward' : 'waiting' };
}

function resolveOutputs(
  relay: ResolvedRelay,
  keys: readonly string[],
  family: 4 | 6,
  interfaces: InterfacesByName,
): { outputs: ProgrammedOutput[]; down: DownOutput[] } {
  const outputs: ProgrammedOutput[] = [];
  const down: DownOutput[] = [];
  relay.outputs.forEach((output, index) => {
    const key = keys[index] ?? '';
    const facts = interfaces.get(output.interface);
    if (facts === undefined) {
      down.push({ key, problem: notFound(output.interface) });
      return;
    }
    const source = wantsInterface(output) ? sourceAddress(facts, family) : output.source === KEEP ? '' : output.source;
    if (typeof source !== 'string') {
      down.push({ key, problem: source });
      return;
    }
    const problem = linkProblem(facts);
    if (problem !== undefined) down.push({ key, problem });
    const address = output.address || (relay.input?.group ?? '');
    const { port, ttl, dscp, sourcePort, oversize } = output;
    outputs.push({ key, ifindex: facts.index, address, port, ttl, source, dscp, sourcePort, oversize });
  });
  return { outputs, down };
}

function wantsInterface(output: RelayOutput): boolean {
  return output.source === '' || output.source === INTERFACE;
}

function programOf(
  assignment: RelayAssignment,
  { input, rateLimit, loopProtection }: ResolvedRelay,
  inputIfindex: number,
  outputs: ProgrammedOutput[],
): ProgrammedRelay {
  return withDigest({
    uid: assignment.uid,
    name: assignment.name,
    generation: assignment.generation,
    inputIfindex,
    group: input?.group ?? '',
    port: input?.port,
    sources: input?.sources ?? [],
    excludeSources: input?.excludeSources ?? [],
    outputs,
    rateLimit,
    vlan: input?.vlan,
    loopProtection,
  });
}

function allDown(down: readonly DownOutput[]): Problem {
  const [first] = down;
  if (first === undefined) throw new Error('a relay without outputs was not refused');
  if (down.length === 1) return first.problem;
  const shown = down.slice(0, 4).map(({ key, problem }) => `${key}: ${problem.message}`);
  const more = down.length > shown.length ? ` (and ${down.length - shown.length} more)` : '';
  return { ...first.problem, message: `no output can forward: ${shown.join('; ')}${more}` };
}

function noIpv6(input: RelayInput): Problem {
  return {
    code: status.FAILED_PRECONDITION,
    reason: 'Ipv6NotSupported',
    message: `the data plane of this host cannot forward IPv6 groups (${input.group}); use an IPv4 group`,
  };
}
