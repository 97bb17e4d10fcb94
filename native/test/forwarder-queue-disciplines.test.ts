// Packets that meet a queue discipline at the output: each counts as sent or as refused, as it was.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import type { ForwarderProcess, PacketCapture, RelayDraft } from './forwarder-process.ts';
import { eventually, ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { fixIpChecksum, makeFrame } from './ipv4-frame.ts';
import { makeIpv6Frame } from './ipv6-frame.ts';

type Family = 'ipv4' | 'ipv6';

const SHORT = 'rate 4mbit burst 3000 limit 6000';
/** No packet waits or is refused; cuts super-frames of more than 10 KB. */
const WIDE = 'rate 10gbit burst 10000 limit 50000000';

const relays: Record<Family, RelayDraft> = {
  ipv4: simpleRelay,
  ipv6: {
    uid: 'simple',
    input: 'in',
    group: 'ff3e::8000:1',
    port: 5001,
    outputs: [{ key: 'first', interface: 'out1', address: 'ff3e::8000:2', port: 6001 }],
  },
};
const hosts: Record<Family, string> = { ipv4: '10.2.1.2', ipv6: '2001:db8:21::2' };

/** Frames of one flow, which can leave as super-frames. */
const frames = (family: Family, count: number, size: number, first = 0): Buffer[] =>
  Array.from({ length: count }, (_, i) => {
    const payload = Buffer.alloc(size, i);
    payload.writeUInt32BE(first + i, 0);
    if (family === 'ipv6') return makeIpv6Frame({ payload });
    const frame = makeFrame({ payload });
    frame.writeUInt16BE((1 + first + i) & 0xffff, 18);
    return fixIpChecksum(frame);
  });

/** Datagrams of one size in captured frames, some of which may be super-frames, and among others. */
function datagrams(received: readonly Buffer[], size: number): number {
  return received.reduce((sum, frame) => {
    const ipv6 = frame.readUInt16BE(12) === 0x86dd;
    const udp = ipv6 ? 54 : 34;
    return frame[ipv6 ? 20 : 23] === 17 ? sum + (frame.length - udp - 8) / size : sum;
  }, 0);
}

describeWithLab('a queue discipline of the output', () => {
  let lab: ForwarderTopology;
  let forwarder: ForwarderProcess;
  beforeEach(async () => {
    lab = await ForwarderTopology.create({ ipv6: true });
    forwarder = await lab.forwarder();
  });
  afterEach(() => lab?.delete());

  const tc = (command: string): Promise<string> => lab.read('relay', 'tc', ...command.split(' '));
  const way = async (): Promise<string> => {
    const { outputs } = (await forwarder.call({ call: 'status' })) as {
      outputs: { transmit: string; reason: string }[];
    };
    return outputs.map(({ transmit, reason }) => `${transmit}: ${reason}`).join('; ');
  };
  const becomes = (pattern: RegExp): Promise<void> => expect.poll(way, { timeout: 20_000 }).toMatch(pattern);
  const counts = async (): Promise<{ tx: number; refused: number }> => {
    const [output] = (await forwarder.relay('simple')).outputs;
    if (!output) throw new Error('no output');
    expect(output.drops.filter(({ reason }) => reason !== 'tx_full')).toEqual([]);
    return { tx: output.txPackets, refused: output.drops[0]?.packets ?? 0 };
  };
  /** Sends while nobody reads the ring, so that all of it is queued when the forwarder goes on. */
  async function queued(family: Family, sent: readonly Buffer[]): Promise<Buffer[]> {
    const capture = await lab.capture(1, family);
    await forwarder.whilePaused(() => lab.sender().frames(...sent));
    return capture.rest();
  }

  for (const family of ['ipv4', 'ipv6'] as const) {
    for (const to of ['groups', 'hosts'] as const) {
      it(`that cuts super-frames gets single packets to ${to}, and those that it refuses are told, ${family}`, async () => {
        const relay = relays[family];
        const outputs = to === 'groups' ? relay.outputs : [{ ...relay.outputs[0], address: hosts[family] }];
        const { address } = await lab.device('sink1', 'sink1');
        await lab.ip('relay', `neighbour replace ${hosts[family]} lladdr ${address} dev out1`);
        await tc(`qdisc add dev out1 root tbf ${SHORT}`);
        expect(await forwarder.apply([{ ...relay, outputs } as RelayDraft])).toEqual([]);
        expect(await way()).toMatch(
          to === 'groups'
            ? /^sendmmsg: frame by frame through a packet socket, .*: tbf$/
            : /^sendmmsg: frame by frame to the link-layer address .*: tbf$/,
        );
        const arrived = datagrams(await queued(family, frames(family, 200, 1000)), 1000);
        expect(arrived).toBeGreaterThan(0);
        expect(arrived).toBeLessThan(100);
        expect(await counts()).toEqual({ tx: arrived, refused: 200 - arrived });
      });
    }
  }

  it('of a device below gets single packets, and those that it refuses are told', async () => {
    await lab.ip('relay', 'link add link out1 name above type macvlan', 'link set above up');
    await tc(`qdisc add dev out1 root tbf ${SHORT}`);
    const outputs = [{ key: 'first', interface: 'above', address: '239.10.10.10', port: 6001 }];
    expect(await forwarder.apply([{ ...simpleRelay, outputs }])).toEqual([]);
    expect(await way()).toMatch(/^sendmmsg: .*: tbf$/);
    const arrived = datagrams(await queued('ipv4', frames('ipv4', 200, 1000)), 1000);
    expect(arrived).toBeGreaterThan(0);
    expect(arrived).toBeLessThan(100);
    expect(await counts()).toEqual({ tx: arrived, refused: 200 - arrived });
  });

  it('that takes or refuses super-frames whole gets them, and those that it refuses are told', async () => {
    await tc('qdisc add dev out1 root handle 1: htb default 1');
    await tc('class add dev out1 parent 1: classid 1:1 htb rate 40mbit burst 2000 cburst 2000');
    await tc('qdisc add dev out1 parent 1:1 pfifo limit 2');
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    expect(await way()).toMatch(/^gso: /);
    const arrived = datagrams(await queued('ipv4', frames('ipv4', 1000, 300)), 300);
    // One leaves at once, two wait.
    expect(arrived).toBeGreaterThanOrEqual(3 * 100);
    expect(arrived).toBeLessThan(1000);
    expect(await counts()).toEqual({ tx: arrived, refused: 1000 - arrived });
  });

  it('below a class may come and go while packets flow, and each one is told', async () => {
    // What the device takes arrives as it was sent.
    await lab.offloads('out1', true);
    await tc('qdisc add dev out1 root handle 1: htb default 1');
    await tc('class add dev out1 parent 1: classid 1:1 htb rate 10gbit burst 10mb cburst 10mb');
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    await becomes(/^gso: /);
    const capture: PacketCapture = await lab.capture(1);
    let [sent, flows] = [0, true];
    const flow = (async (): Promise<void> => {
      const sender = lab.sender();
      for (let burst = 0; flows && burst < 20_000; burst++) {
        await sender.frames(...frames('ipv4', 60, 300, sent));
        sent += 60;
      }
    })();
    /** Resolves when some more bursts have been sent and have left. */
    const more = async (): Promise<void> => {
      const before = sent;
      await eventually(async () => {
        const { tx, refused } = await counts();
        expect(tx + refused).toBeGreaterThan(before + 5 * 60);
      });
    };
    await more();
    await tc(`qdisc add dev out1 parent 1:1 handle 2: tbf ${WIDE}`);
    await becomes(/^sendmmsg: .*: tbf$/);
    await tc(`qdisc change dev out1 parent 1:1 handle 2: tbf ${SHORT}`);
    await eventually(async () => expect((await counts()).refused).toBeGreaterThan(100));
    await tc(`qdisc change dev out1 parent 1:1 handle 2: tbf ${WIDE}`);
    await more();
    await tc('qdisc del dev out1 parent 1:1');
    await becomes(/^gso: /);
    await more();
    flows = false;
    await flow;
    const arrived = datagrams(await capture.rest(), 300);
    const { tx, refused } = await counts();
    expect({ arrived, all: tx + refused }).toEqual({ arrived: tx, all: sent });
    const together = await queued('ipv4', frames('ipv4', 100, 300, sent));
    expect(datagrams(together, 300)).toBe(100);
    expect(together.length).toBeLessThan(10);
  });
});
