import { accountOf, readSnapshot } from '../fleet/dataplane-account.ts';
import { type courses, host, RelayPath } from '../fleet/relay-path.ts';
import type { InterfaceCounters } from '../lab/counters.ts';
import { datagramsIn, type Frames, framesBetween } from '../lab/datagram-count.ts';
import { type Check, grouped, judged, type Outcome } from './check.ts';

/** The founding documents' workload: there it cost MCR 5 % and socat 4 % of the packets. */
export const workload = { count: 1_000_000, rate: 150_000, size: 1316 } as const;

/** Two cores: the sender has one, the relay and the receiver share the other. */
export const senderCpu = 0;
export const relayCpu = 1;

function framesOf(counters: InterfaceCounters): Frames {
  return { frames: counters.rxPackets, bytes: counters.rxBytes };
}

async function carry(topology: keyof typeof courses, source: string | undefined): Promise<Outcome> {
  await using path = await RelayPath.start(topology, { relayCpu, ipv6: false });
  await path.apply({ camera: path.spec() });
  const { namespace, interface: device } = path.course.receiver;
  const before = await path.lab.interfaceCounters(namespace, device);
  const from = source === undefined ? {} : { source };
  const { sent, received } = await path.carry({
    ...workload,
    ...from,
    rawReceiver: true,
    digest: true,
    senderCpu,
    receiverCpu: relayCpu,
  });
  const snapshot = await readSnapshot(path.fleet.dataplaneSocket(host));
  const after = await path.lab.interfaceCounters(namespace, device);
  const arrived = datagramsIn(framesBetween(framesOf(before), framesOf(after)), workload.size);
  const rate = sent.sent / sent.duration_seconds;
  return judged([
    [
      sent.sent === workload.count,
      `sent ${grouped(sent.sent)} packets of ${workload.size} bytes at ${grouped(Math.round(rate))} per second`,
    ],
    [rate > workload.rate * 0.99, `the sender kept its pace: ${((100 * rate) / workload.rate).toFixed(1)} %`],
    [
      arrived === workload.count,
      `${grouped(arrived)} at the receiver's interface ${device} by the kernel's counters of frames and bytes`,
    ],
    [
      received.received === workload.count &&
        received.lost === 0 &&
        received.duplicates === 0 &&
        received.corrupt === 0,
      `${grouped(received.received)} received, ${received.lost} lost, ${received.duplicates} duplicates, ` +
        `${received.reordered} reordered, ${received.corrupt} corrupt`,
    ],
    [
      sent.payload_sha256 !== undefined && sent.payload_sha256 === received.payload_sha256,
      `payload SHA-256 ${received.payload_sha256} at the receiver, ${sent.payload_sha256} at the sender`,
    ],
    ['note', accountOf(snapshot)],
    [
      'note',
      `latency p50 ${received.latency_us.p50} us, p99 ${received.latency_us.p99} us, max ${received.latency_us.max} us`,
    ],
  ]);
}

export const streamChecks: readonly Check[] = (['chain', 'dual-bridge'] as const).flatMap((topology) => [
  {
    name: `${topology}-udp`,
    title: `1,000,000 packets at 150,000 per second through the ${topology}, sent by a UDP socket`,
    run: async () => await carry(topology, undefined),
  },
  {
    name: `${topology}-raw`,
    title: `the same sent as raw packets from 10.99.99.99, with rp_filter 1`,
    run: async () => await carry(topology, '10.99.99.99'),
  },
]);
