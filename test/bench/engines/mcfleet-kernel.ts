import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { DataplaneServiceClient } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { Fleet, mcfleet } from '../../fleet/fleet.ts';
import { until } from '../../fleet/until.ts';
import { endsOf } from '../ends.ts';
import { type Engine, NotOffered, type RelayPlan, type RunningRelay } from '../engine.ts';
import { INPUT_INTERFACE, RELAY_CPU, type Stage } from '../stage.ts';

const CAPABILITY = 'engine.kernel.v4';
const SOURCE = '10.0.0.1';
const HOST = 'bench';
const READY_TIMEOUT = '20s';

/**
 * Our engine KERNEL, asked for as users do: with a document and `spec.engine`. It keeps group and port, so every copy needs an interface
 * of its own. Whether there is such an engine its data plane says.
 */
export const mcfleetKernel: Engine = {
  name: 'mcfleet-kernel',
  outputsFor: ({ streams }) => Math.max(...streams.map(({ outputs }) => outputs.length)),
  obstacle: async () => undefined,
  start,
};

async function start(stage: Stage, plan: RelayPlan): Promise<RunningRelay> {
  const capabilities = await capabilitiesOf(stage);
  if (!capabilities.includes(CAPABILITY)) {
    throw new NotOffered(`its data plane says that it can do ${capabilities.join(', ')}; it would say ${CAPABILITY}`);
  }
  return await startFleet(stage, plan);
}

/** What a data plane says of itself. */
async function capabilitiesOf(stage: Stage): Promise<readonly string[]> {
  const socket = join(stage.lab.directory, 'capabilities.sock');
  const started = stage.lab.start('relay', [mcfleet, 'dataplane', '--socket', socket], { cpu: RELAY_CPU });
  const client = createClient(DataplaneServiceClient, { kind: 'unix', path: socket });
  try {
    await started.waitForOutput(/"serves"/);
    return (await callUnary(client, 'status', {}, { timeoutMs: 5_000 })).capabilities;
  } finally {
    client.close();
    await started.stop(2_000);
  }
}

/** A controller, an agent and its data plane beside the relay's interfaces, and one relay per stream. */
async function startFleet(stage: Stage, plan: RelayPlan): Promise<RunningRelay> {
  const fleet = await Fleet.start(stage.lab, { controller: 'relay', hosts: { [HOST]: 'relay' } });
  const stop = async (): Promise<void> => {
    const dataplane = fleet.dataplanePid(HOST);
    await fleet.agent(HOST).stop(5_000);
    await fleet.controller.stop(5_000);
    // It outlives its agent, and would go on to relay beside what is measured next.
    if (dataplane !== undefined) await endProcess(dataplane);
  };
  try {
    const file = join(stage.lab.directory, 'bench.yaml');
    writeFileSync(file, documents(stage, plan));
    await fleet.command(['apply', '-f', file, '--wait', '--timeout', READY_TIMEOUT]);
    const dataplane = fleet.dataplanePid(HOST);
    if (dataplane === undefined) throw new Error('the fleet has no data plane');
    return {
      pids: [dataplane],
      ends: endsOf(plan, (copy, _, input) => ({ interface: stage.sinkInterface(copy), ...input })),
      note: 'controller and agent; engine KERNEL',
      ringBytes: 0,
      applyMs: null,
      change: null,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function endProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM');
  await until(`data plane ${pid} has ended`, async () => !existsSync(`/proc/${pid}`));
}

/** Group and port stay: that is what the kernel can do. */
function documents(stage: Stage, { streams }: RelayPlan): string {
  return streams
    .map(({ input, outputs }, index) => {
      const metadata = { name: `bench-${index}` };
      const from = { interface: INPUT_INTERFACE, group: input.group, sources: [SOURCE] };
      const to = outputs.map((_, copy) => ({ interface: stage.outputInterfaces[copy], source: 'KEEP' }));
      const spec = { hosts: { names: [HOST] }, engine: 'KERNEL', input: from, outputs: to };
      return JSON.stringify({ apiVersion: 'mcfleet/v1', kind: 'Relay', metadata, spec });
    })
    .join('\n---\n');
}
