import { spawnSync } from 'node:child_process';
import { Receiver, Sender } from '../fleet/probe.ts';
import { courses } from '../fleet/relay-path.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { type Check, grouped, type Outcome } from './check.ts';
import { relayCpu, senderCpu, workload } from './streams.ts';

const socatMissing = spawnSync('socat', ['-V']).status !== 0;

/** The founding documents' socat command in the same lab, with the same sender, receiver and cores. */
async function socat(bufferBytes: number | undefined): Promise<Outcome> {
  if (socatMissing) return { kind: 'skipped', lines: ['socat is not installed'] };
  await using lab = await Lab.create(chain({ ipv6: false }));
  const { sender, relay, receiver } = courses.chain;
  const buffer = bufferBytes === undefined ? '' : `,rcvbuf=${bufferBytes}`;
  const input = `UDP4-RECV:5001,ip-add-membership=239.1.1.1:${relay.input},reuseaddr${buffer}`;
  lab.start(
    relay.namespace,
    ['socat', '-u', input, 'UDP4-SEND:239.9.9.9:5099,bind=10.0.1.1,ip-multicast-if=10.0.1.1'],
    { cpu: relayCpu },
  );
  await new Promise((resolve) => setTimeout(resolve, 500));
  const target = { interface: receiver.interface, group: '239.9.9.9', port: 5099, raw: true };
  const listening = await Receiver.start(lab, receiver.namespace, target, { cpu: relayCpu });
  const traffic = { interface: sender.interface, group: '239.1.1.1', port: 5001, ...workload };
  await new Sender(lab, sender.namespace, traffic, { cpu: senderCpu }).result();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const { received } = await listening.stop();
  const lost = workload.count - received;
  const line = `${grouped(received)} of ${grouped(workload.count)} received: ${((100 * lost) / workload.count).toFixed(2)} % lost`;
  return { kind: 'figure', lines: [line] };
}

export const socatChecks: readonly Check[] = [
  { name: 'socat', title: 'for comparison: socat in the chain, same stream', run: async () => await socat(undefined) },
  {
    name: 'socat-buffered',
    title: 'for comparison: socat with rcvbuf=16777216',
    run: async () => await socat(16_777_216),
  },
];
