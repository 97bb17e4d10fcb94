// What a document can say, from the command to the frames that arrive at a receiver.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PacketCapture, PacketSender } from '../../native/test/forwarder-process.ts';
import { type FrameSpec, makeFrame, readFrame } from '../../native/test/ipv4-frame.ts';
import { atRest } from '../fleet/at-rest.ts';
import { Fleet } from '../fleet/fleet.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';

describeWithLab('a document', () => {
  let lab: Lab;
  let fleet: Fleet;
  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    lab = await Lab.create(chain({ ipv6: false }));
    fleet = await Fleet.start(lab, { controller: 'relay', hosts: { edge: 'relay' } });
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  /** Applies relays, spec by spec, in place of all others, and waits until they forward. */
  async function apply(...specs: readonly object[]): Promise<void> {
    const documents = specs.map((spec, index) => ({
      apiVersion: 'mcfleet/v1',
      kind: 'Relay',
      metadata: { name: `option-${index}`, labels: { test: 'options' } },
      spec: { hosts: { names: ['edge'] }, ...spec },
    }));
    await fleet.command(['apply', '-f', '-', '--prune', '-l', 'test=options', '--wait'], {
      input: documents.map((document) => JSON.stringify(document)).join('\n---\n'),
    });
  }

  /** What arrives behind the relay of frames that are sent before it. */
  async function relayed(...frames: readonly Buffer[]): Promise<ReturnType<typeof readFrame>[]> {
    const capture = await PacketCapture.start(lab.realName('sink'), 'veth2', 'capture', () => atRest(fleet, ['edge']));
    const sender = new PacketSender(lab.realName('gen'), 'veth0');
    await sender.frames(...frames);
    const arrived = (await capture.rest()).map(readFrame);
    await sender.end();
    return arrived;
  }

  /** A frame that no other one equals, as senders make them: equal ones of several stations go round in a loop. */
  let frames = 0;
  const frame = (spec: FrameSpec = {}): Buffer =>
    makeFrame({ payload: Buffer.from(String(frames++).padStart(7)), ...spec });

  const input = { interface: 'veth1', group: '239.1.1.1', port: 5001 };

  it('tells sources apart, also those of relays on one group and port', async () => {
    await apply(
      { input: { ...input, sources: ['10.9.0.1'] }, outputs: [{ interface: 'veth3', address: '239.9.0.1' }] },
      { input: { ...input, sources: ['10.9.0.2'] }, outputs: [{ interface: 'veth3', address: '239.9.0.2' }] },
      {
        input: { ...input, excludeSources: ['10.9.0.1', '10.9.0.2'] },
        outputs: [{ interface: 'veth3', address: '239.9.0.3' }],
      },
    );
    const arrived = await relayed(...[1, 2, 3, 4].map((host) => frame({ source: `10.9.0.${host}`, sourcePort: host })));
    expect(arrived.map(({ destination, sourcePort }) => [destination, sourcePort])).toEqual([
      ['239.9.0.1', 1],
      ['239.9.0.2', 2],
      ['239.9.0.3', 3],
      ['239.9.0.3', 4],
    ]);
    expect(await fleet.command(['describe', 'relay', 'option-2'])).toContain('any but 10.9.0.1, 10.9.0.2');
  });

  it('takes packets of a VLAN', async () => {
    await apply({ input: { ...input, vlan: 7 }, outputs: [{ interface: 'veth3', address: '239.9.0.1' }] });
    const arrived = await relayed(frame(), frame({ tag: 7, sourcePort: 7 }), frame({ tag: 8 }));
    expect(arrived).toMatchObject([{ destination: '239.9.0.1', sourcePort: 7 }]);
  });

  it('limits what passes, and says how much was lost to it', async () => {
    const output = { interface: 'veth3', address: '239.9.0.1' };
    await apply({ input, outputs: [output], rateLimit: { packetsPerSecond: 1, burstPackets: 7 } });
    const sent = Array.from({ length: 60 }, () => frame());
    const arrived = (await relayed(...sent)).length;
    expect(arrived).toBeGreaterThanOrEqual(7);
    // One more for each second in which this machine stood still.
    expect(arrived).toBeLessThan(12);
    await until('the drops are told', async () =>
      (await fleet.command(['describe', 'relay', 'option-0'])).includes(`(rate_limited ${60 - arrived})`),
    );
  });

  it('drops what arrives with a lower TTL than it asks for, and nothing else', async () => {
    const high = { interface: 'veth3', address: '239.9.0.1' };
    const any = { interface: 'veth3', address: '239.9.0.2' };
    await apply({ input, outputs: [high], loopProtection: { minTtl: 4 } }, { input, outputs: [any] });
    const ttls = [255, 64, 5, 4, 3, 2, 1];
    const arrived = await relayed(...ttls.map((ttl) => frame({ ttl, sourcePort: ttl })));
    const sentAs = (address: string): number[] =>
      arrived.filter(({ destination }) => destination === address).map(({ sourcePort }) => sourcePort);
    // A relay without it takes them all.
    expect(sentAs('239.9.0.1')).toEqual([255, 64, 5, 4]);
    expect(sentAs('239.9.0.2')).toEqual(ttls);
    await until('the drops are told', async () =>
      /\bloop 3\b/.test(await fleet.command(['describe', 'relay', 'option-0'])),
    );
    expect(await fleet.command(['describe', 'relay', 'option-0'])).toContain('TTL 4 at least');
    expect(await fleet.command(['describe', 'relay', 'option-1'])).not.toMatch(/\bloop \d/);
  });

  it('sets DSCP and source port, and drops what is too long', async () => {
    const output = { interface: 'veth3', address: '239.9.0.1', dscp: 46, sourcePort: 7777, oversize: 'DROP' };
    await apply({ input, outputs: [output] });
    await lab.ip('relay', 'link set veth3 mtu 600');
    const arrived = await relayed(frame({ payload: Buffer.alloc(1000) }), frame());
    await lab.ip('relay', 'link set veth3 mtu 1500');
    expect(arrived).toMatchObject([{ tos: 46 << 2, sourcePort: 7777, length: 35, udpChecksum: 'right' }]);
  });
});
