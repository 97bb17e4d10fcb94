// Measures what a packet costs the relay when many are queued: the packet thread is stopped while packets fill its ring, and its
// processor time is read when it has forwarded them. Independent of the sender's speed. See docs/measurements.md.
//
//   node native/test/measure-backlog.ts [--rounds 10] [--size 1316] [--flows 1] [--outputs 1] [--segments 20] [--super] [--no-uso]
//        [--transmit auto] [--unicast] [--keep-duplicates] [--rules] [--packets 30000] [--qdisc "pfifo limit 1000"]
//
// --packets: as many as the rings hold at most; the one for super-frames has 512 slots. --segments, --super, --no-uso as in
// measure-forwarder.ts. --unicast: to unicast addresses rather than groups. --rules: on a host with nftables rules,
// which let all of it pass; the first rounds are without UDP sockets, which are opened every two seconds. --qdisc: the queue of the
// output's device, which has none by itself. The source runs on core 0, the relay on core 1.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LineProcess } from './forwarder-process.ts';
import { simpleRelay } from './forwarder-topology.ts';
import { createPath, PATH_OPTIONS } from './measure-path.ts';

const { values } = parseArgs({
  options: {
    ...PATH_OPTIONS,
    rounds: { type: 'string', default: '10' },
    segments: { type: 'string', default: '20' },
    unicast: { type: 'boolean', default: false },
    'keep-duplicates': { type: 'boolean', default: false },
    rules: { type: 'boolean', default: false },
    packets: { type: 'string', default: '30000' },
    qdisc: { type: 'string' },
  },
});
const PACKETS = Number(values.packets);
const THREAD = 'mcf-forward-0';
const outputs = Number(values.outputs);
const size = Number(values.size);

/** Nanoseconds of processor time of the packet thread (schedstat, Documentation/scheduler/sched-stats.rst). */
function threadNanoseconds(pid: number): number {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const path = join('/proc', String(pid), 'task', thread);
    if (readFileSync(join(path, 'comm'), 'utf8').trim() !== THREAD) continue;
    return Number(readFileSync(join(path, 'schedstat'), 'utf8').split(' ')[0]);
  }
  throw new Error(`no thread ${THREAD}`);
}

const { lab, transmit } = await createPath(values);
try {
  if (values.qdisc !== undefined) {
    await lab.read('relay', 'tc', 'qdisc', 'add', 'dev', 'out1', 'root', ...values.qdisc.split(' '));
  }
  if (values.rules) {
    await lab.read('relay', 'nft', 'add table inet own');
    await lab.read('relay', 'nft', 'add chain inet own out { type filter hook output priority 0; }');
    await lab.read('relay', 'nft', 'add rule inet own out udp dport 53 drop');
  }
  const forwarder = await lab.forwarder({ ringBytes: 64 << 20, transmit }, ['taskset', '-c', '1']);
  const addresses = Array.from({ length: outputs }, (_, i) => ({
    interface: 'out1',
    address: values.unicast ? `10.2.1.${i + 2}` : `239.10.10.${i + 1}`,
  }));
  const { address: neighbour } = await lab.device('sink1', 'sink1');
  for (const { address } of values.unicast ? addresses : []) {
    await lab.ip('relay', `neighbour replace ${address} lladdr ${neighbour} dev out1`);
  }
  const refusals = await forwarder.apply([
    { ...simpleRelay, keepDuplicates: values['keep-duplicates'], outputs: addresses },
  ]);
  const { pid } = forwarder.child;
  if (JSON.stringify(refusals) !== '[]' || pid === undefined) throw new Error(JSON.stringify(refusals));
  const costs: number[] = [];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const before = await lab.receivedDatagrams(1, size);
    process.kill(pid, 'SIGSTOP');
    const used = threadNanoseconds(pid);
    const sender = new LineProcess(
      lab.namespace('source'),
      ...['taskset', '-c', '0', process.execPath, join(import.meta.dirname, 'run-probe.ts'), 'send', 'src'],
      JSON.stringify({
        ...{ count: PACKETS, rate: 1_000_000, size, digest: false },
        ...{ flows: Number(values.flows), segments: Number(values.segments) },
        // Each round the same, for UDP sockets are opened by it.
        sourcePort: 40_000,
      }),
    );
    await sender.line();
    await sender.line();
    await sender.end();
    process.kill(pid, 'SIGCONT');
    let left = PACKETS * outputs;
    for (const end = Date.now() + 10_000; left > 0 && Date.now() < end; ) {
      await setTimeout(20);
      left = PACKETS * outputs - ((await lab.receivedDatagrams(1, size)) - before);
    }
    if (left !== 0) throw new Error(`${left} copies did not arrive`);
    costs.push((threadNanoseconds(pid) - used) / PACKETS);
  }
  costs.sort((a, b) => a - b);
  const at = (part: number): number => Math.round(costs[Math.floor((costs.length - 1) * part)] ?? 0);
  const nanosecondsPerPacket = { least: at(0), median: at(0.5), most: at(1) };
  process.stdout.write(`${JSON.stringify({ ...values, nanosecondsPerPacket })}\n`);
} finally {
  await lab.delete();
}
