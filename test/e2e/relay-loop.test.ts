// Two hosts that relay to each other: what goes round must come to an end.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PacketCapture, PacketSender } from '../../native/test/forwarder-process.ts';
import { makeFrame, readFrame } from '../../native/test/ipv4-frame.ts';
import { atRest } from '../fleet/at-rest.ts';
import { Fleet } from '../fleet/fleet.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';

const COUNT = 200;
const BURST = 20;
/** Without an end they would go round some thousand times a second. */
const MOST_ROUNDS = 8;
const FIRST = '239.1.1.1';
const SECOND = '239.2.2.2';
/** What a third relay puts into the loop. */
const FED = '239.3.3.3';
/** Bytes of each payload: super-frames, which arrive as they were sent over such wires, are counted by it. */
const SIZE = 32;

/** What the source sends. */
const SENDERS = {
  /** Linux does, of a socket that is connected. */
  counts: (tag: string, i: number): Buffer => makeFrame({ payload: payload(`${tag} ${i}`), id: 1000 + i }),
  /** Linux does, with sendto(). */
  'gives no identification': (tag: string, i: number): Buffer =>
    makeFrame({ payload: payload(`${tag} ${i}`), id: 0, fragment: 0x4000 }),
  'says the same again and again': (tag: string): Buffer =>
    makeFrame({ payload: payload(tag), id: 0, fragment: 0x4000 }),
};

function payload(text: string): Buffer {
  const bytes = Buffer.alloc(SIZE);
  bytes.write(text);
  return bytes;
}

describeWithLab('a loop of two relays', () => {
  let lab: Lab;
  let fleet: Fleet;
  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    const wire = (name: string, net: number) => ({
      a: { namespace: 'a', interface: name, addresses: [`10.${net}.0.1/24`] },
      b: { namespace: 'b', interface: name, addresses: [`10.${net}.0.2/24`] },
    });
    const machine = { sysctls: { 'net.ipv6.conf.default.disable_ipv6': 1 } };
    lab = await Lab.create({
      namespaces: { a: machine, b: machine },
      links: [wire('wire1', 1), wire('wire2', 2), wire('mgmt', 9)],
    });
    fleet = await Fleet.start(lab, { controller: 'a', address: '10.9.0.1', hosts: { 'host-a': 'a', 'host-b': 'b' } });
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  /** Applies A: FIRST of wire 1 to SECOND on wire 2, and B: the other way round. `fed`: A sends FED of wire 1 there as well. */
  async function close(output: object, { fed = false } = {}): Promise<void> {
    const relay = (name: string, host: string, from: [string, string], to: [string, string]) => ({
      apiVersion: 'mcfleet/v1',
      kind: 'Relay',
      metadata: { name, labels: { test: 'loop' } },
      spec: {
        hosts: { names: [host] },
        input: { interface: from[0], group: from[1], port: 5001 },
        outputs: [{ interface: to[0], address: to[1], ...output }],
      },
    });
    const documents = [
      relay('there', 'host-a', ['wire1', FIRST], ['wire2', SECOND]),
      relay('back', 'host-b', ['wire2', SECOND], ['wire1', FIRST]),
      ...(fed ? [relay('feed', 'host-a', ['wire1', FED], ['wire2', SECOND])] : []),
    ];
    const input = documents.map((document) => JSON.stringify(document)).join('\n---\n');
    await fleet.command(['apply', '-f', '-', '--prune', '-l', 'test=loop', '--wait'], { input });
  }

  const rest = (): Promise<void> => atRest(fleet, ['host-a', 'host-b']);

  function capture(namespace: string, device: string): Promise<PacketCapture> {
    return PacketCapture.start(lab.realName(namespace), device, 'capture', rest);
  }

  /** Sends packets on wire 1 to host A, and counts the datagrams that are seen on both wires until they are silent. */
  async function seen(frames: readonly Buffer[]): Promise<{ wire1: number; wire2: number }> {
    const captures = [await capture('a', 'wire1'), await capture('b', 'wire2')];
    const sender = new PacketSender(lab.realName('b'), 'wire1');
    for (let i = 0; i < COUNT; i += BURST) {
      await sender.frames(...frames.slice(i, i + BURST));
      // Of those that are under way before the loop is found, copies go round; that is this burst, also where the hosts are busy.
      if (i === 0) await rest();
      else await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const [wire1 = 0, wire2 = 0] = (await Promise.all(captures.map((wire) => wire.rest()))).map((arrived) =>
      arrived
        .map(readFrame)
        .filter(({ port }) => port === 5001)
        .reduce((sum, { length }) => sum + (length - 28) / SIZE, 0),
    );
    await sender.end();
    return { wire1, wire2 };
  }

  const outputs = {
    'set the TTL and their own source': { ttl: 16 },
    'set the TTL and keep the source': { ttl: 16, source: 'KEEP' },
    'lower the TTL': {},
  };
  const cases = Object.entries(outputs).flatMap(([how, output]) =>
    Object.entries(SENDERS).map(([sender, make]) => [how, sender, output, make] as const),
  );

  // First, while no loop is known.
  it('dies down also where packets come into it just as they go round', async () => {
    await close({ ttl: 16 }, { fed: true });
    const frame = (i: number): Buffer => makeFrame({ destination: FED, payload: payload(`fed ${i}`), id: 5000 + i });
    const { wire2 } = await seen(Array.from({ length: COUNT }, (_, i) => frame(i)));
    console.log(`a loop that looks like a sender: ${COUNT} sent, ${wire2} on the wire`);
    // Such a loop is asked for when a packet came 64 times.
    expect(wire2).toBeGreaterThan(64);
    const after = await capture('b', 'wire2');
    expect((await after.rest()).map(readFrame).filter(({ port }) => port === 5001)).toEqual([]);
    // Once it is known, what comes goes round no more.
    const again = await seen(Array.from({ length: COUNT }, (_, i) => frame(COUNT + i)));
    expect(again.wire2).toBeGreaterThanOrEqual(COUNT);
    expect(again.wire2).toBeLessThanOrEqual(COUNT * 3);
  });

  it.each(cases)('dies down where they %s, and the sender %s', async (how, sender, output, make) => {
    await close(output);
    const tag = `${how.slice(0, 12)}${how.length}`;
    const { wire1, wire2 } = await seen(Array.from({ length: COUNT }, (_, i) => make(tag, i)));
    console.log(`relays that ${how}, and a sender that ${sender}: ${COUNT} sent, ${wire1} and ${wire2} on the wires`);
    // They do go round, or this test says nothing.
    expect(wire2).toBeGreaterThan(COUNT);
    // Each host passes on every packet and one that comes back. Before it knows of the loop it passes on those then under way, until
    // the first of them comes back for the eighth time (loop_watch.h).
    expect(wire2).toBeLessThanOrEqual(COUNT * 2 + MOST_ROUNDS * BURST);
    expect(wire1).toBeLessThanOrEqual(COUNT * 3 + MOST_ROUNDS * BURST);
    // And nothing is left under way.
    const after = await capture('b', 'wire2');
    expect((await after.rest()).map(readFrame).filter(({ port }) => port === 5001)).toEqual([]);
  });

  it('is told of', async () => {
    await until('the condition', async () => {
      const text = await fleet.command(['describe', 'relay', 'there']);
      return /LoopSuspected: yes/.test(text) && /duplicate \d+/.test(text) && /look for relays that send to/.test(text);
    });
    // The controller knows it without a packet, by the networks of the interfaces.
    const text = await fleet.command(['describe', 'relay', 'there']);
    expect(text).toMatch(/LoopPossible: yes/);
    expect(text).toMatch(/there on host-a -> back on host-b -> there|back on host-b -> there on host-a -> back/);
  });
});
