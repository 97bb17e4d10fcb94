// Measures changes of rules, as seen by a caller in another process. See docs/measurements.md.
//
//   node native/test/measure-changes.ts [--relays 10000]
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { requireLabAccess } from '../../test/lab/access.ts';
import type { RelayDraft } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';

const { values } = parseArgs({ options: { relays: { type: 'string', default: '10000' } } });

/** Changes of one relay, one after the other. */
const CHANGES = 200;

function relay(i: number, port = 5001): RelayDraft {
  return { ...simpleRelay, uid: `relay-${i}`, group: `239.${1 + (i >> 8)}.${i & 255}.1`, port };
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return Number((performance.now() - start).toFixed(1));
}

await requireLabAccess();
const lab = await ForwarderTopology.create();
try {
  const forwarder = await lab.forwarder({ ringBytes: 64 << 20 });
  const all = Array.from({ length: Number(values.relays) }, (_, i) => relay(i));
  const apply = async (relays: readonly RelayDraft[]): Promise<void> => {
    const refusals = await forwarder.apply(relays);
    if (JSON.stringify(refusals) !== '[]') throw new Error(JSON.stringify(refusals));
  };
  const ticks = (): number => {
    const fields = readFileSync(`/proc/${forwarder.child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  };
  const result = {
    relays: all.length,
    applyAllMs: await milliseconds(() => apply(all)),
    changeOneMs: { least: 0, median: 0, processor: 0 },
    applyUnchangedMs: await milliseconds(() => apply(all)),
    snapshotMs: await milliseconds(() => forwarder.snapshot()),
    idleProcessorTicksIn5s: 0,
  };
  const changes: number[] = [];
  const started = ticks();
  for (let i = 0; i < CHANGES; i++) changes.push(await milliseconds(() => apply([relay(77, 6000 + i)])));
  const processor = ((ticks() - started) * 10) / CHANGES;
  changes.sort((a, b) => a - b);
  result.changeOneMs = { least: changes[0] ?? 0, median: changes[CHANGES / 2] ?? 0, processor };
  const before = ticks();
  await new Promise((resolve) => setTimeout(resolve, 5000));
  result.idleProcessorTicksIn5s = ticks() - before;
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  await lab.delete();
}
