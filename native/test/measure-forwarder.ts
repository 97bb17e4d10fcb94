// Measures the packet path: source -> relay -> sink, counted at the sink's interface. See docs/measurements.md.
//
//   node native/test/measure-forwarder.ts --rate 150000 --count 1000000 [--outputs 1] [--raw] [--realtime]
//
// The source runs on core 0, the relay on core 1. --realtime gives both SCHED_FIFO, for a machine that is busy otherwise.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { requireLabAccess } from '../../test/lab/access.ts';
import { LineProcess } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '150000' },
    count: { type: 'string', default: '1000000' },
    outputs: { type: 'string', default: '1' },
    raw: { type: 'boolean', default: false },
    realtime: { type: 'boolean', default: false },
  },
});
const count = Number(values.count);
const outputs = Number(values.outputs);

function onCore(core: number): string[] {
  return [...(values.realtime ? ['chrt', '-f', '1'] : []), 'taskset', '-c', String(core)];
}

/** Seconds of processor time that a process has used (proc(5), clock ticks of 10 ms). */
function processorSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

await requireLabAccess();
const lab = await ForwarderTopology.create();
try {
  await lab.offloads('out1', true);
  const forwarder = await lab.forwarder(64 << 20, onCore(1));
  const refusals = await forwarder.apply([
    {
      ...simpleRelay,
      outputs: Array.from({ length: outputs }, (_, i) => ({ interface: 'out1', address: `239.10.10.${i + 1}` })),
    },
  ]);
  if (JSON.stringify(refusals) !== '[]') throw new Error(JSON.stringify(refusals));
  const before = await lab.received(1);
  const used = processorSeconds(forwarder.child.pid);
  const sender = new LineProcess(
    lab.namespace('source'),
    ...[...onCore(0), process.execPath, join(import.meta.dirname, 'run-probe.ts'), 'send', 'src'],
    JSON.stringify({ count, rate: Number(values.rate), raw: values.raw, digest: false }),
  );
  await sender.line();
  const sent = JSON.parse(await sender.line()) as { sent: number; durationNs: number; mode: string };
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const received = (await lab.received(1)) - before;
  const [input] = (await forwarder.snapshot()).inputs;
  const result = {
    sender: sent.mode,
    sent: sent.sent,
    packetsPerSecond: Math.round(sent.sent / (sent.durationNs / 1e9)),
    outputs,
    expected: sent.sent * outputs,
    received,
    lost: sent.sent * outputs - received,
    kernelDrops: input?.kernelDrops,
    relayProcessorSeconds: Number((processorSeconds(forwarder.child.pid) - used).toFixed(2)),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  await sender.end();
} finally {
  await lab.delete();
}
