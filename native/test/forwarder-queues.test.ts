// Packets to unicast receivers that wait in the kernel, for a neighbour and then in a device's queue: each is received or counted as
// dropped, with the reason, also where the queue throws away what it has taken.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import type { ForwarderProcess, PacketSender, RelayReport } from './forwarder-process.ts';
import { eventually, ForwarderTopology } from './forwarder-topology.ts';
import { readFrame } from './ipv4-frame.ts';

interface Family {
  readonly name: 'ipv4' | 'ipv6';
  readonly group: string;
  readonly receiver: string;
  readonly prefix: string;
}

const families: readonly Family[] = [
  { name: 'ipv4', group: '239.1.1.1', receiver: '10.2.1.77', prefix: '/24' },
  { name: 'ipv6', group: 'ff3e::8000:1', receiver: '2001:db8:21::77', prefix: '/64 nodad' },
];

/** Holds 6,000 bytes, and lets 8 Mbit/s go. */
const SMALL_QUEUE = 'root handle 1: tbf rate 8mbit burst 2000 limit 6000';

for (const family of families)
  describeWithLab(`packets to ${family.name} receivers behind a queue`, () => testsOf(family));

function testsOf({ name, group, receiver, prefix }: Family): void {
  let lab: ForwarderTopology;
  let sender: PacketSender;
  beforeEach(async () => {
    lab = await ForwarderTopology.create({ ipv6: true });
    sender = lab.sender();
    // Asked for until it answers: what waits is not given up on a busy machine.
    const asking = ['mcast_solicit=600', 'retrans_time_ms=100'].map((option) => `net.${name}.neigh.out1.${option}`);
    await lab.read('relay', 'sysctl', '-qw', ...asking);
  });
  afterEach(() => lab?.delete());

  const queue = async (...disciplines: string[]): Promise<void> => {
    for (const discipline of disciplines)
      await lab.read('relay', 'tc', 'qdisc', 'add', 'dev', 'out1', ...discipline.split(' '));
  };
  const appear = (): Promise<void> => lab.ip('sink1', `address add ${receiver}${prefix} dev sink1`);
  const send = (packets: number, size: number): Promise<void> =>
    sender.udp({ group, port: 5001, sizes: Array.from({ length: packets }, () => size) });

  async function start(transmit: 'auto' | 'sendmmsg'): Promise<ForwarderProcess> {
    const forwarder = await lab.forwarder({ ringBytes: 32 << 20, transmit });
    const outputs = [{ key: 'receiver', interface: 'out1', address: receiver }];
    expect(await forwarder.apply([{ uid: 'simple', input: 'in', group, port: 5001, outputs }])).toEqual([]);
    return forwarder;
  }

  async function count(forwarder: ForwarderProcess): Promise<Record<string, number>> {
    const [output] = (await forwarder.relay('simple')).outputs as [RelayReport['outputs'][number]];
    return Object.fromEntries([
      ['sent', output.txPackets],
      ...output.drops.map(({ reason, packets }) => [reason, packets]),
    ]);
  }

  /** Waits until as many are counted as the relay took. */
  const counted = (forwarder: ForwarderProcess, packets: number): Promise<void> =>
    eventually(async () => {
      const counts = Object.values(await count(forwarder));
      expect(counts.reduce((sum, part) => sum + part, 0)).toBe(packets);
    });

  /** Compares what was counted with what came. */
  async function compare(forwarder: ForwarderProcess, packets: number, came: () => Promise<number>): Promise<void> {
    await counted(forwarder, packets);
    const { sent, tx_full: full = 0, ...others } = await count(forwarder);
    expect(others).toEqual({});
    expect(full).toBeGreaterThan(0);
    expect(await came()).toBe(sent);
  }

  /** How many came to the receiver. */
  async function receiving(): Promise<() => Promise<number>> {
    const capture = await lab.capture(1, name);
    const bytes = receiver.startsWith('2001') ? '20010db8002100000000000000000077' : '';
    return async () =>
      (await capture.rest()).filter((frame) =>
        name === 'ipv4' ? readFrame(frame).destination === receiver : frame.subarray(38, 54).toString('hex') === bytes,
      ).length;
  }

  it.each(['auto', 'sendmmsg'] as const)(
    'wait for their neighbour, and then the queue is too short, with %s',
    async (transmit) => {
      await queue(SMALL_QUEUE);
      const forwarder = await start(transmit);
      const came = await receiving();
      await send(100, 200);
      await eventually(async () => expect((await forwarder.relay('simple')).rxPackets).toBe(100));
      expect(await count(forwarder)).toEqual({ sent: 0 });
      await appear();
      await compare(forwarder, 100, came);
    },
  );

  it.each(['auto', 'sendmmsg'] as const)(
    'wait for their neighbour, and are too many for a queue of 20 Mbit/s, and others follow, with %s',
    async (transmit) => {
      await queue('root tbf rate 20mbit burst 15000 latency 20ms');
      const forwarder = await start(transmit);
      const came = await receiving();
      await send(80, 1316);
      await eventually(async () => expect((await forwarder.relay('simple')).rxPackets).toBe(80));
      await appear();
      await eventually(async () => expect((await count(forwarder)).sent).toBeGreaterThan(0));
      for (let i = 0; i < 5; i++) await send(20, 1316);
      await compare(forwarder, 180, came);
    },
  );

  // As fq_codel and red do, which are not in every kernel.
  it('are thrown away by a queue that had taken them', async () => {
    await queue(SMALL_QUEUE, 'parent 1:1 handle 10: pfifo_head_drop limit 5');
    const forwarder = await start('sendmmsg');
    const came = await receiving();
    await send(50, 200);
    await appear();
    await counted(forwarder, 50);
    for (let i = 0; i < 40; i++) await send(50, 200);
    await compare(forwarder, 2050, came);
  });
}
