import { isIPv6 } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { RelayAssignment, ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { ProgrammedOutput, ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { RelayEngine, type RelayInput, type RelayOutput } from '@mcfleet/proto/mcfleet/v1/relay';
import { withDigest } from './digest.ts';
import { chooseEngine } from './engine-choice.ts';
import { inputAddressProblem, outputAddressProblem } from './local-addresses.ts';
import { type InterfacesByName, linkProblem, notFound } from './local-interfaces.ts';
import { outputKeys } from './output-key.ts';
import { combine, type Problem } from './problem.ts';
import { sourceAddress, staysOnLink } from './source-address.ts';

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
  /** What the data plane shall have; undefined if it is refused. A waiting relay has one too: there its counters stay. */
  readonly program: ProgrammedRelay | undefined;
  /** Name of the input interface; empty if it is refused. */
  readonly input: string;
  /** Names of all outputs, in the order of the spec. */
  readonly outputs: readonly string[];
  readonly outputsDown: readonly DownOutput[];
  /** OutputCounters.warning of outputs by key. */
  readonly warnings: ReadonlyMap<string, string>;
  readonly engine: RelayEngine | undefined;
  readonly engineReason: string;
}

/** The `source` of an output that asks for an address of its interface. */
const INTERFACE = 'INTERFACE';
/** The `source` of an output that keeps the arriving one. */
const KEEP = 'KEEP';
/** The index of no interface. */
const NONE = 0;

/**
 * Resolves names and addresses of one relay on this host. Pure: the same facts give the same plan, whatever happened before.
 *
 * An interface that exists and is down stays in the program, so that the packet path takes up again in the moment it comes up. One
 * that is missing, or has no address where one is needed, is programmed as index 0, and so is the input while the host does not
 * have the unicast address that it takes: nothing passes, and the counters go on when it comes. A relay that can receive nothing or send nothing has input 0, so that no stream is joined in vain.
 */
export function resolveRelay(assignment: RelayAssignment, facts: LocalFacts): RelayPlan {
  const relay = assignment.relay;
  const base = {
    uid: assignment.uid,
    name: assignment.name,
    generation: assignment.generation,
    input: relay?.input?.interface ?? '',
    outputs: relay === undefined ? [] : outputKeys(relay),
    program: undefined,
    outputsDown: [],
    warnings: new Map<string, string>(),
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
  const { outputs, down, warnings } = resolveOutputs(relay, chosen, facts.interfaces);
  const sends = outputs.some(({ ifindex }) => ifindex !== NONE);
  const notOurs = input === undefined ? undefined : inputAddressProblem(relay.input, facts.interfaces);
  const receives = sends && notOurs === undefined;
  const program = programOf(assignment, relay, choice.engine, (receives ? input?.index : undefined) ?? NONE, outputs);
  const inputProblem =
    input === undefined ? notFound('input', relay.input.interface) : (notOurs ?? linkProblem('input', input));
  const problem = whyWaiting(inputProblem, down, relay.outputs.length);
  return {
    ...chosen,
    program,
    outputsDown: down,
    warnings,
    problem,
    verdict: problem === undefined ? 'forward' : 'waiting',
  };
}

/** Why nothing passes; undefined if something does. An input that is not ready does not hide what the outputs lack. */
function whyWaiting(input: Problem | undefined, down: readonly DownOutput[], outputs: number): Problem | undefined {
  const lacks = down.map(({ problem }) => problem);
  if (input !== undefined) return combine([input, ...lacks]);
  return down.length === outputs ? combine(lacks) : undefined;
}

function resolveOutputs(
  relay: ResolvedRelay,
  { outputs: keys, engine }: { readonly outputs: readonly string[]; readonly engine: RelayEngine },
  interfaces: InterfacesByName,
): { outputs: ProgrammedOutput[]; down: DownOutput[]; warnings: Map<string, string> } {
  const outputs: ProgrammedOutput[] = [];
  const down: DownOutput[] = [];
  const warnings = new Map<string, string>();
  relay.outputs.forEach((output, index) => {
    const key = keys[index] ?? '';
    const facts = interfaces.get(output.interface);
    const address = output.address || (relay.input?.group ?? '');
    const { port, ttl, dscp, sourcePort, oversize } = output;
    const rewrite = { port, ttl, dscp, sourcePort, oversize };
    const hold = (problem: Problem): void => {
      down.push({ key, problem });
      outputs.push({ key, ifindex: NONE, address, source: '', ...rewrite });
    };
    if (facts === undefined) {
      hold(notFound('output', output.interface));
      return;
    }
    const unsendable = outputAddressProblem(address, facts);
    if (unsendable !== undefined) {
      hold(unsendable);
      return;
    }
    const ofInterface = wantsInterface(output, engine);
    const kept = output.source === KEEP || output.source === '';
    const source = ofInterface ? sourceAddress(facts, address) : kept ? '' : output.source;
    if (typeof source !== 'string') {
      hold(source);
      return;
    }
    if (ofInterface && staysOnLink(source, address)) warnings.set(key, 'LinkLocalSource');
    const problem = linkProblem('output', facts);
    if (problem !== undefined) down.push({ key, problem });
    outputs.push({ key, ifindex: facts.index, address, source, ...rewrite });
  });
  return { outputs, down, warnings };
}

function wantsInterface(output: RelayOutput, engine: RelayEngine): boolean {
  // The kernel engine keeps what arrives.
  return output.source === INTERFACE || (output.source === '' && engine !== RelayEngine.KERNEL);
}

function programOf(
  assignment: RelayAssignment,
  { input, rateLimit, loopProtection }: ResolvedRelay,
  engine: RelayEngine,
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
    engine,
  });
}

function noIpv6(input: RelayInput): Problem {
  return {
    code: status.FAILED_PRECONDITION,
    reason: 'Ipv6NotSupported',
    message: `the kernel of this host has no IPv6, so that it cannot relay ${input.group}; boot it without ipv6.disable=1`,
  };
}
