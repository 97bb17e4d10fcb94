// Measures the packet path: source -> relay -> sink, counted at the sink's interface. See docs/measurements.md.
//
//   node native/test/measure-forwarder.ts --rate 150000 --count 1000000 [--size 1316] [--flows 1] [--outputs 1] [--raw] [--segments N]
//        [--super] [--no-uso] [--transmit auto] [--busy-poll 0] [--exclusive-input] [--realtime]
//
// --segments: packets per send, cut before the relay's input, with --super only behind it. --no-uso: the output's device cuts no
// super-frames. The source runs on core 0, the relay on core 1. --realtime gives both SCHED_FIFO, for a machine that is busy otherwise.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LineProcess } from './forwarder-process.ts';
import { simpleRelay } from './forwarder-topology.ts';
import { createPath, PATH_OPTIONS } from './measure-path.ts';

const { values } = parseArgs({
  options: {
    ...PATH_OPTIONS,
    rate: { type: 'string', default: '150000' },
    count: { type: 'string', default: '1000000' },
    raw: { type: 'boolean', default: false },
    segments: { type: 'string', default: '1' },
    'busy-poll': { type: 'string', default: '0' },
    'exclusive-input': { type: 'boolean', default: false },
    realtime: { type: 'boolean', default: false },
  },
});
const count = Number(values.count);
const outputs = Number(values.outputs);
const size = Number(values.size);
const segments = Number(values.segments);

function onCore(core: number): string[] {
  return [...(values.realtime ? ['chrt', '-f', '1'] : []), 'taskset', '-c', String(core)];
}

/** Seconds of processor time that a process has used (proc(5), clock ticks of 10 ms). */
function processorSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const { lab, transmit } = await createPath(values);
try {
  const options = {
    ringBytes: 64 << 20,
    transmit,
    busyPollUs: Number(values['busy-poll']),
    exclusiveInput: values['exclusive-input'],
  };
  const forwarder = await lab.forwarder(options, onCore(1));
  const refusals = await forwarder.apply([
    {
      ...simpleRelay,
      outputs: Array.from({ length: outputs }, (_, i) => ({ interface: 'out1', address: `239.10.10.${i + 1}` })),
    },
  ]);
  if (JSON.stringify(refusals) !== '[]') throw new Error(JSON.stringify(refusals));
  const before = await lab.receivedDatagrams(1, size);
  const used = processorSeconds(forwarder.child.pid);
  const sender = new LineProcess(
    lab.namespace('source'),
    ...[...onCore(0), process.execPath, join(import.meta.dirname, 'run-probe.ts'), 'send', 'src'],
    JSON.stringify({
      count,
      rate: Number(values.rate),
      size,
      flows: Number(values.flows),
      raw: values.raw,
      segments,
      digest: false,
    }),
  );
  await sender.line();
  const usedBySender = processorSeconds(sender.child.pid);
  const sent = JSON.parse(await sender.line()) as { sent: number; durationNs: number; mode: string };
  const senderSeconds = processorSeconds(sender.child.pid) - usedBySender;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const received = (await lab.receivedDatagrams(1, size)) - before;
  const [input] = (await forwarder.snapshot()).inputs;
  const result = {
    sender: sent.mode,
    sent: sent.sent,
    packetsPerSecond: Math.round(sent.sent / (sent.durationNs / 1e9)),
    outputs,
    transmit: ((await forwarder.call({ call: 'status' })) as { outputs: { transmit: string }[] }).outputs[0]?.transmit,
    expected: sent.sent * outputs,
    received,
    lost: sent.sent * outputs - received,
    kernelDrops: input?.kernelDrops,
    senderProcessorSeconds: Number(senderSeconds.toFixed(2)),
    relayProcessorSeconds: Number((processorSeconds(forwarder.child.pid) - used).toFixed(2)),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  await sender.end();
} finally {
  await lab.delete();
}
