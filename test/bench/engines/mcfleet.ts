import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { fromRpcStatus } from '@mcfleet/common/status-details';
import { DataplaneServiceClient, ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { mcfleet as launcher } from '../../fleet/fleet.ts';
import type { LabProcess } from '../../lab/process.ts';
import { endsOf } from '../ends.ts';
import { type Engine, NotOffered, type PlannedStream, type RelayPlan, type RunningRelay } from '../engine.ts';
import { INPUT_INTERFACE, RELAY_CPU, type Stage } from '../stage.ts';
import { prepareHost } from './host.ts';
import { idleWorkers } from './idle-workers.ts';

/** 10,000 relays are more than gRPC's default of 4 MiB. */
const MAX_MESSAGE_BYTES = 2 ** 26;
/** Our data plane, the real process, programmed over its socket as an agent does. Every copy is rewritten: group, port, source and TTL. */
export const mcfleet: Engine = {
  name: 'mcfleet',
  outputsFor: ({ streams, spread }) => (spread ? Math.max(...streams.map(({ outputs }) => outputs.length)) : 1),
  async obstacle({ options }) {
    const { stdout } = spawnSync(launcher, ['dataplane', '--help'], { encoding: 'utf8' });
    const missing = options.filter((option) => option.startsWith('--') && !stdout.includes(option));
    return missing.length === 0 ? undefined : `"mcfleet dataplane" has no ${missing.join(', ')}`;
  },
  start,
};

async function start(stage: Stage, plan: RelayPlan): Promise<RunningRelay> {
  const host = await prepareHost(stage, plan);
  const socket = join(stage.lab.directory, 'dataplane.sock');
  const argv = [launcher, 'dataplane', '--socket', socket, ...plan.options];
  const started = stage.lab.start('relay', argv, { cpu: RELAY_CPU });
  const client = createClient(
    DataplaneServiceClient,
    { kind: 'unix', path: socket },
    { maxMessageBytes: MAX_MESSAGE_BYTES },
  );
  const stop = async (): Promise<void> => {
    client.close();
    await started.stop(2_000);
    await host[Symbol.asyncDispose]();
  };
  try {
    await started.waitForOutput(/"serves"/);
    const applyMs = await program(client, stage, plan);
    const status = await callUnary(client, 'status', {}, { timeoutMs: 5_000 });
    const shared = status.inputs.find(({ exclusive }) => exclusive?.active === false)?.exclusive;
    if (shared !== undefined) throw new NotOffered(`its input is shared with the host: ${shared.reason}`);
    const kept = status.inputs.reduce((sum, { exclusive }) => sum + (exclusive?.destinations ?? 0), 0);
    const ways = status.outputs.map(({ transmit }) => transmit).join(', ');
    const filters = status.inputs.map(({ filter }) => filter).join(', ');
    return {
      pids: [started.pid],
      ends: endsOf(plan, (copy, output) => ({ interface: stage.sinkInterface(plan.spread ? copy : 0), ...output })),
      note: `sends by ${ways}; ${filters} filter; ${status.relays} relays${kept > 0 ? `; ${kept} destinations kept from the host` : ''}`,
      ringBytes: status.inputs.reduce((sum, input) => sum + Number(input.ringBytes + input.longRingBytes), 0),
      applyMs,
      change: plan.idleRelays === 0 ? null : changes(client, stage, plan),
      fault: async () => idleWorkers(plan, (await callUnary(client, 'status', {}, { timeoutMs: 5_000 })).workers),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw withOutput(error, started);
  }
}

/** @returns milliseconds until the packet path used it, seen by the caller. */
async function program(client: DataplaneServiceClient, stage: Stage, plan: RelayPlan): Promise<number> {
  const streams = [...plan.streams, ...idleStreams(plan.idleRelays)];
  const upserts = streams.map((stream, index) => programmed(stage, plan, stream, index));
  return await apply(client, { replaceAll: true, upserts });
}

/** Each call sends the copies of the last relay to another port. */
function changes(client: DataplaneServiceClient, stage: Stage, plan: RelayPlan): () => Promise<number> {
  const last = idleStreams(plan.idleRelays).at(-1) ?? fail('a relay that gets no packets');
  let generation = 1;
  return async () => {
    generation += 1;
    const outputs = last.outputs.map((output) => ({ ...output, port: output.port + generation }));
    const index = plan.streams.length + plan.idleRelays - 1;
    const upserts = [programmed(stage, plan, { ...last, outputs }, index, generation)];
    return await apply(client, { replaceAll: false, upserts });
  };
}

function programmed(
  stage: Stage,
  plan: RelayPlan,
  { input, outputs }: PlannedStream,
  index: number,
  generation = 1,
): ProgrammedRelay {
  return ProgrammedRelay.fromPartial({
    uid: `relay-${index}`,
    name: `relays/relay-${index}`,
    generation: BigInt(generation),
    digest: Buffer.from([generation]),
    inputIfindex: stage.indexOf(INPUT_INTERFACE),
    ...input,
    outputs: outputs.map(({ group, port }, copy) => {
      const name =
        stage.outputInterfaces[plan.spread ? copy : 0] ?? fail('a stage has as many outputs as a plan needs');
      const source = stage.addressOf(name, plan.family);
      return { key: `${group}:${port}@${name}`, ifindex: stage.indexOf(name), address: group, port, source };
    }),
  });
}

async function apply(
  client: DataplaneServiceClient,
  { replaceAll, upserts }: { readonly replaceAll: boolean; readonly upserts: ProgrammedRelay[] },
): Promise<number> {
  const request = { replaceAll, upserts, removedUids: [] };
  const before = performance.now();
  const { results } = await callUnary(client, 'apply', request, { timeoutMs: 60_000 });
  const took = performance.now() - before;
  const refused = results.find(({ error }) => error !== undefined);
  if (refused?.error !== undefined) throw fromRpcStatus(refused.error);
  return took;
}

/** Relays whose groups nobody sends to. */
function idleStreams(count: number): PlannedStream[] {
  return Array.from({ length: count }, (_, index) => ({
    input: { group: `239.100.${index >> 8}.${index & 255}`, port: 5001 },
    outputs: [{ group: `239.101.${index >> 8}.${index & 255}`, port: 6001 }],
  }));
}

function fail(message: string): never {
  throw new Error(message);
}

function withOutput(error: unknown, { stderr }: LabProcess): Error {
  const message = error instanceof Error ? error.message : String(error);
  return new Error(`mcfleet dataplane: ${message}\n${stderr.slice(-1_000)}`, { cause: error });
}
