import { until } from '../../fleet/until.ts';
import type { LabProcess } from '../../lab/process.ts';
import { endsOf } from '../ends.ts';
import type { Engine, RelayPlan, RunningRelay } from '../engine.ts';
import { INPUT_INTERFACE, RELAY_CPU, SINK_INTERFACE, type Stage } from '../stage.ts';
import { prepareHost } from './host.ts';

const TUNED_BUFFER_BYTES = 16 * 1024 * 1024;
/** SOL_SOCKET, SO_RCVBUFFORCE (asm-generic/socket.h): past net.core.rmem_max. */
const FORCE_BUFFER = `setsockopt-listen=1:33:i${TUNED_BUFFER_BYTES}`;

/**
 * socat, one process per copy, as people relay multicast with it.
 *
 * @param tuned with a receive buffer of 16 MiB.
 */
export function socat(tuned: boolean): Engine {
  return {
    name: tuned ? 'socat-tuned' : 'socat',
    outputsFor: () => 1,
    obstacle: async () => undefined,
    start: (stage, plan) => start(stage, plan, tuned),
  };
}

async function start(stage: Stage, plan: RelayPlan, tuned: boolean): Promise<RunningRelay> {
  const host = await prepareHost(stage, plan);
  const stop = async (): Promise<void> => {
    await stopAll(processes);
    await host[Symbol.asyncDispose]();
  };
  const processes = plan.streams.flatMap(({ input, outputs }) =>
    outputs.map((output) => {
      const from = `UDP4-RECV:${input.port},bind=${input.group},reuseaddr,ip-add-membership=${input.group}:${INPUT_INTERFACE}`;
      const to = `UDP4-DATAGRAM:${output.group}:${output.port},ip-multicast-if=10.0.1.1,ip-multicast-ttl=16`;
      const argv = ['socat', '-u', '-b', '65536', tuned ? `${from},${FORCE_BUFFER}` : from, to];
      return stage.lab.start('relay', argv, { cpu: RELAY_CPU });
    }),
  );
  try {
    const buffer = await bufferOf(stage, processes);
    return {
      pids: processes.map(({ pid }) => pid),
      ends: endsOf(plan, (_, output) => ({ interface: SINK_INTERFACE, ...output })),
      note: `${processes.length} process${processes.length === 1 ? '' : 'es'}, receive buffer ${buffer} bytes`,
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

/** Waits until all listen; the kernel's word for the buffer. */
async function bufferOf(stage: Stage, processes: readonly LabProcess[]): Promise<number> {
  let listening = '';
  await until('every socat listens', async () => {
    const ended = processes.find((one) => !one.running);
    if (ended !== undefined) throw new Error(`socat has ended: ${ended.stderr}`);
    ({ stdout: listening } = await stage.lab.run('relay', ['ss', '-H', '-u', '-a', '-n', '-m']));
    const sockets = listening.match(/UNCONN\s+\d+\s+\d+\s+2(2[4-9]|3\d)\./g)?.length ?? 0;
    return sockets === processes.length;
  });
  return Number(/skmem:\(r\d+,rb(\d+)/.exec(listening)?.[1] ?? Number.NaN);
}

async function stopAll(processes: readonly LabProcess[]): Promise<void> {
  await Promise.all(processes.map((one) => one.stop(1_000)));
}
