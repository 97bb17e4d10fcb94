// Measures what a data plane without packets costs while its counters are read each second. See docs/measurements.md.
//
//   node test/experiments/measure-readings.ts [--relays 10000] [--whole]
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { DataplaneClient } from '../../services/agent/src/dataplane/dataplane-client.ts';
import { requireLabAccess } from '../lab/access.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';

const { values } = parseArgs({
  options: { relays: { type: 'string', default: '10000' }, whole: { type: 'boolean', default: false } },
});
const LAUNCHER = join(import.meta.dirname, '../../services/cli/bin/mcfleet');
const SECONDS = 20;

/** Processor time of a process, all its threads, in milliseconds. */
function processorMs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    return sum + Number(nanoseconds) / 1e6;
  }, 0);
}

await requireLabAccess();
await using lab = await Lab.create(chain());
const socket = join(lab.directory, 'run/dataplane.sock');
const program = lab.start('relay', [LAUNCHER, 'dataplane', '--socket', socket]);
await program.waitForOutput(/"serves"/);
const { stdout } = await lab.run('relay', ['ip', '-o', 'link']);
const index = (name: string): number => Number(new RegExp(`^(\\d+): ${name}@`, 'm').exec(stdout)?.[1]);
const upserts = Array.from({ length: Number(values.relays) }, (_, i) =>
  ProgrammedRelay.fromPartial({
    ...{ uid: `relay-${i}`, name: `relays/relay-${i}`, generation: 1n, digest: Buffer.alloc(16, i), port: 5001 },
    ...{ inputIfindex: index('veth1'), group: `239.2.${i >> 8}.${i & 255}` },
    outputs: [{ key: 'sink', ifindex: index('veth3'), address: '239.9.9.9', port: 5099 }],
  }),
);
let client = new DataplaneClient(socket);
const { pid } = await client.status();
const { results } = await client.apply({ replaceAll: true, upserts, removedUids: [] });
if (results.some(({ error }) => error !== undefined)) throw new Error('a relay was refused');
const read = async (seconds: number): Promise<void> => {
  for (let i = 0; i < seconds; i++) {
    const { relays } = await client.snapshot();
    if (relays.length !== upserts.length) throw new Error(`${relays.length} relays were told`);
    if (values.whole) {
      client.close();
      client = new DataplaneClient(socket);
    }
    await sleep(1_000);
  }
};
await read(5);
const before = processorMs(pid);
await read(SECONDS);
const ms = (processorMs(pid) - before) / SECONDS;
client.close();
process.stdout.write(`${JSON.stringify({ relays: upserts.length, whole: values.whole, msPerSecond: ms })}\n`);
