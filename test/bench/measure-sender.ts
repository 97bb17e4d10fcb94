// Measures what a packet costs the sender of the bench, alone, by packets per send. See docs/measurements.md.
//
//   node test/bench/measure-sender.ts [--segments 10,20,40] [--size 1316] [--rounds 5] [--packets 400000] [--fill-each]
//
// Processor time, so that it does not matter much who else uses the machine. "single": the kernel cuts them apart before the relay's
// input; "super": they arrive as they were sent. Nobody takes them there. --fill-each: every payload has a pattern of its own.
import { parseArgs } from 'node:util';
import { requireLabAccess } from '../lab/access.ts';
import { processTime } from './processor-time.ts';
import { SOURCE_INTERFACE, Stage } from './stage.ts';
import { median } from './statistics.ts';

const { values } = parseArgs({
  options: {
    segments: { type: 'string', default: '10,20,40' },
    size: { type: 'string', default: '1316' },
    rounds: { type: 'string', default: '5' },
    packets: { type: 'string', default: '400000' },
    'fill-each': { type: 'boolean', default: false },
  },
});
const size = Number(values.size);
const count = Number(values.packets);

await requireLabAccess();
await using stage = await Stage.create({ mtu: 1_500, outputs: 1, family: 4 });

/** Nanoseconds of processor time per packet. */
async function measure(segments: number): Promise<number> {
  const pids = [stage.source.process.pid];
  const before = processTime(pids);
  const { sent } = await stage.source.ask({
    do: 'send',
    interface: SOURCE_INTERFACE,
    streams: [{ group: '239.1.1.1', port: 5001 }],
    rate: 50_000_000,
    count,
    size,
    segments,
    fillOnce: !values['fill-each'],
  });
  return ((processTime(pids) - before) / sent) * 1e9;
}

for (const [name, source] of [
  ['single', false],
  ['super', true],
] as const) {
  await stage.setSegmentation({ source, outputs: true });
  const taken = new Map<number, number[]>(values.segments.split(',').map((text) => [Number(text), []]));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [segments, times] of taken) times.push(await measure(segments));
  }
  for (const [segments, times] of taken) {
    const all = times.map((time) => time.toFixed(0)).join(' ');
    process.stdout.write(`${name}, ${segments} per send: ${median(times).toFixed(0)} ns per packet (${all})\n`);
  }
}
