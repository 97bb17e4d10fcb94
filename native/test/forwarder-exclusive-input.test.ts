// What relays take is kept from the programs of their host, and nothing else is: counted at the receiver of the copies, and in a
// program on the relay's host that has joined the same groups.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { inUserNamespace } from '../../test/lab/access.ts';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import type { ForwarderStatus } from '../index.ts';
import { type ForwarderProcess, LineProcess, packetsScript, type RelayDraft } from './forwarder-process.ts';
import { eventually, ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { type FrameSpec, fixIpChecksum, makeFrame, readFrame } from './ipv4-frame.ts';
import { makeIpv6Frame, readIpv6Frame } from './ipv6-frame.ts';

const GROUP = '239.1.1.1';
const OTHER_GROUP = '239.1.1.2';
/** Nobody relays it: what the local program has of it came behind everything else. */
const LAST_GROUP = '239.9.9.9';
const PORT = 5001;

/** Why the kernel refuses here what is tested, or undefined: judged by what it asks for, not by whether it works. */
function obstacle(): string | undefined {
  if (inUserNamespace()) return 'BPF programs need the first user namespace';
  const held = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`);
  const has = (capability: bigint): boolean => ((held >> capability) & 1n) === 1n;
  const [CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF] = [12n, 21n, 39n];
  if (!has(CAP_SYS_ADMIN) && !(has(CAP_BPF) && has(CAP_NET_ADMIN))) return 'needs CAP_BPF and CAP_NET_ADMIN';
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 6) ? undefined : `needs Linux 6.6, this is ${release()}`;
}

const text = (payload: Buffer): string => payload.toString();

describeWithLab('an exclusive input', () => {
  let lab: ForwarderTopology;
  let listener: LineProcess;
  beforeEach(async (context) => {
    const reason = obstacle();
    if (reason !== undefined) context.skip(reason);
    lab = await ForwarderTopology.create({ ipv6: true });
    listener = await listen(GROUP, OTHER_GROUP, LAST_GROUP);
  });
  afterEach(async () => {
    await listener?.end();
    await lab?.delete();
  });

  /** A program on the relay's host that hears these groups. */
  async function listen(...groups: string[]): Promise<LineProcess> {
    const argv = ['python3', packetsScript, 'receive', 'in', String(PORT), ...groups];
    const started = new LineProcess(lab.namespace('relay'), ...argv);
    expect(await started.line()).toBe('ready');
    return started;
  }

  const frame = (payload: string, spec: FrameSpec = {}): Buffer =>
    makeFrame({ source: '10.1.0.1', port: PORT, payload: Buffer.from(payload), ...spec });
  let serial = 0;
  /** Each has a text of its own, also among several calls. */
  const frames = (count: number, spec: FrameSpec = {}): Buffer[] =>
    Array.from({ length: count }, () => frame(`packet ${serial++}`, spec));
  const texts = (sent: readonly Buffer[]): string[] => sent.map((one) => text(readFrame(one).payload)).sort();

  /** Sends frames, and tells what the receiver got, and what the local program. */
  async function exchange(...sent: readonly Buffer[]): Promise<{ relayed: string[]; heard: string[] }> {
    const capture = await lab.capture(1);
    const sender = lab.sender();
    await sender.frames(...sent);
    const relayed = (await capture.rest()).map((one) => text(readFrame(one).payload)).sort();
    return { relayed, heard: await heardBefore(() => sender.frames(frame('last', { destination: LAST_GROUP }))) };
  }

  /** What the local program hears until it has what `last` sends. */
  async function heardBefore(last: () => Promise<void>): Promise<string[]> {
    await last();
    const heard: string[] = [];
    for (let line = await listener.line(); line !== 'last'; line = await listener.line()) heard.push(line);
    return heard.sort();
  }

  async function relaying(...relays: RelayDraft[]): Promise<ForwarderProcess> {
    const forwarder = await lab.forwarder({ exclusiveInput: true });
    expect(await forwarder.apply(relays)).toEqual([]);
    return forwarder;
  }
  const exclusive = async (forwarder: ForwarderProcess): Promise<unknown> =>
    ((await forwarder.call({ call: 'status' })) as ForwarderStatus).inputs.map((input) => input.exclusive);
  const active = (destinations: number, sharedRelays = 0): object[] => [
    { active: true, reason: '', destinations, sharedRelays, leftOut: 0 },
  ];

  it('gives the host nothing of what relays take; without it the host gets all', async () => {
    const plain = await lab.forwarder();
    expect(await plain.apply([simpleRelay])).toEqual([]);
    const shared = frames(50);
    expect(await exchange(...shared)).toEqual({ relayed: texts(shared), heard: texts(shared) });
    expect(await exclusive(plain)).toEqual([null]);
    await lab.endProcesses();

    const forwarder = await relaying(simpleRelay);
    expect(await exclusive(forwarder)).toEqual(active(1));
    const kept = frames(50);
    expect(await exchange(...kept)).toEqual({ relayed: texts(kept), heard: [] });
  });

  it('leaves the host everything else', async () => {
    await relaying(simpleRelay);
    const otherGroup = frames(5, { destination: OTHER_GROUP });
    expect(await exchange(...frames(5), ...otherGroup)).toMatchObject({ heard: texts(otherGroup) });
    // Another port of the same group.
    await listener.end();
    listener = new LineProcess(
      lab.namespace('relay'),
      ...['python3', packetsScript, 'receive', 'in', String(PORT + 1), GROUP, LAST_GROUP],
    );
    expect(await listener.line()).toBe('ready');
    const otherPort = frames(5, { port: PORT + 1 });
    await lab.sender().frames(...frames(5), ...otherPort);
    const last = frame('last', { port: PORT + 1, destination: LAST_GROUP });
    expect(await heardBefore(() => lab.sender().frames(last))).toEqual(texts(otherPort));
  });

  it('shares packets with IP options, and fragments', async () => {
    await relaying(simpleRelay);
    const options = frames(3, { options: Buffer.from([1, 1, 1, 1]) });
    const whole = frame('a datagram in two fragments, of which the first has 24 bytes');
    const cut = (from: number, to: number | undefined, more: number): Buffer => {
      const part = Buffer.concat([whole.subarray(0, 34), whole.subarray(34 + from, to && 34 + to)]);
      part.writeUInt16BE(part.length - 14, 16);
      part.writeUInt16BE(more | (from / 8), 20);
      return fixIpChecksum(part);
    };
    const parts = [cut(0, 24, 0x2000), cut(24, undefined, 0)];
    const expected = texts([...options, whole]);
    expect(await exchange(...frames(3), ...options, ...parts)).toMatchObject({ heard: expected });
  });

  it('leaves the host what it sends itself', async () => {
    await relaying(simpleRelay);
    const send = ['python3', '-c', sendLocally, GROUP, String(PORT), 'own 1', 'own 2'];
    const last = async (): Promise<void> =>
      void (await lab.read('relay', 'python3', '-c', sendLocally, LAST_GROUP, String(PORT), 'last'));
    await lab.read('relay', ...send);
    expect(await heardBefore(last)).toEqual(['own 1', 'own 2']);
  });

  it('shares with the host where a relay takes some sources only', async () => {
    const some = { ...simpleRelay, uid: 'some', sources: ['10.1.0.1'] };
    const others = { ...simpleRelay, uid: 'others', group: OTHER_GROUP, excludedSources: ['10.1.0.7'] };
    const forwarder = await relaying(some, others);
    expect(await exclusive(forwarder)).toEqual(active(0, 2));
    const sent = [
      ...frames(5),
      ...frames(5, { source: '10.1.0.7' }),
      ...frames(5, { destination: OTHER_GROUP }),
      ...frames(5, { destination: OTHER_GROUP, source: '10.1.0.7' }),
    ];
    const { relayed, heard } = await exchange(...sent);
    expect(heard).toEqual(texts(sent));
    expect(relayed).toEqual(texts([...sent.slice(0, 5), ...sent.slice(10, 15)]));
    // Another relay takes the rest of one of them.
    expect(await forwarder.apply([{ ...simpleRelay, uid: 'all', port: null }])).toEqual([]);
    expect(await exclusive(forwarder)).toEqual(active(1, 2));
    const mixed = [...frames(5, { source: '10.1.0.7' }), ...frames(5, { destination: OTHER_GROUP })];
    expect(await exchange(...mixed)).toMatchObject({ heard: texts(mixed.slice(5)) });
  });

  it('keeps a unicast port from the host, and no other', async () => {
    const address = '10.1.0.2';
    const forwarder = await relaying({ ...simpleRelay, group: address });
    const mac = Buffer.from((await lab.device('relay', 'in')).address.replaceAll(':', ''), 'hex');
    const unicast = (payload: string, spec: FrameSpec = {}): Buffer => {
      const made = frame(payload, { destination: address, ...spec });
      mac.copy(made);
      return made;
    };
    expect(await exchange(unicast('to the relay'))).toEqual({ relayed: ['to the relay'], heard: [] });
    // All ports would be those of answers to the host's own questions as well.
    expect(await forwarder.apply([{ ...simpleRelay, group: address, port: null }])).toEqual([]);
    expect(await exclusive(forwarder)).toEqual(active(0, 1));
    const both = { relayed: ['to all ports'], heard: ['to all ports'] };
    expect(await exchange(unicast('to all ports'))).toEqual(both);
  });

  it('gives the host its packets again when the data plane is killed', async () => {
    const forwarder = await relaying(simpleRelay);
    expect(await exchange(...frames(5))).toMatchObject({ heard: [] });
    const ended = once(forwarder.child, 'exit');
    forwarder.child.kill('SIGKILL');
    await ended;
    await eventually(async () => {
      const sent = frames(5);
      expect(await exchange(...sent)).toEqual({ relayed: [], heard: texts(sent) });
    });
  });

  it('follows the relays', async () => {
    const forwarder = await relaying(simpleRelay, { ...simpleRelay, uid: 'twin' });
    expect(await exclusive(forwarder)).toEqual(active(1));
    const change = (upserts: readonly RelayDraft[], removed: readonly string[]): Promise<unknown> =>
      forwarder.apply(upserts, { removed });
    // One of two that take the same.
    expect(await change([], ['twin'])).toEqual([]);
    expect(await exchange(...frames(5))).toMatchObject({ heard: [] });
    // Another group in its place.
    expect(await change([{ ...simpleRelay, group: OTHER_GROUP }], [])).toEqual([]);
    const first = frames(5);
    const second = frames(5, { destination: OTHER_GROUP });
    expect(await exchange(...first, ...second)).toEqual({ relayed: texts(second), heard: texts(first) });
    // None, and then one again.
    expect(await change([], ['simple'])).toEqual([]);
    const free = [...frames(5), ...frames(5, { destination: OTHER_GROUP })];
    expect(await exchange(...free)).toEqual({ relayed: [], heard: texts(free) });
    expect(await change([simpleRelay], [])).toEqual([]);
    const again = frames(5);
    expect(await exchange(...again)).toEqual({ relayed: texts(again), heard: [] });
  });

  it('is in force again on an interface that comes back with its old index', async () => {
    const forwarder = await relaying(simpleRelay);
    const { ifindex } = await lab.device('relay', 'in');
    await lab.ip('relay', 'link delete in');
    await eventually(async () =>
      expect((await forwarder.snapshot()).inputs).toMatchObject([{ up: false, downReason: 'InterfaceNotFound' }]),
    );
    await eventually(async () => expect(await exclusive(forwarder)).toMatchObject([{ active: false }]));
    await lab.connectSource(ifindex);
    await eventually(async () => expect(await exclusive(forwarder)).toEqual(active(1)));
    await listener.end();
    listener = await listen(GROUP, LAST_GROUP);
    const sent = frames(5);
    expect(await exchange(...sent)).toEqual({ relayed: texts(sent), heard: [] });
  });

  it('keeps nothing from the host that no relay takes, also where an interface was replaced unnoticed', async () => {
    const forwarder = await relaying(simpleRelay);
    const { ifindex } = await lab.device('relay', 'in');
    await forwarder.whilePaused(async () => {
      await lab.ip('relay', 'link delete in');
      await lab.connectSource(ifindex);
    });
    await listener.end();
    listener = await listen(GROUP, LAST_GROUP);
    // The change of another interface is heard after those.
    await lab.ip('relay', 'link set out1 mtu 1400');
    const each = async () => {
      const sent = frames(3);
      const { relayed, heard } = await exchange(...sent);
      expect([...relayed, ...heard].sort()).toEqual(texts(sent));
      return relayed.length;
    };
    // A packet that comes while it finds out goes either way.
    await eventually(async () => expect(await each()).toBe(3));
    const sent = frames(5);
    expect(await exchange(...sent)).toEqual({ relayed: texts(sent), heard: [] });
  });

  it('leaves the host what it gives to another interface from which relays take', async () => {
    await lab.ip('relay', 'link add link in name above type macvlan mode bridge');
    await lab.ip('relay', 'link set above up');
    const forwarder = await relaying(simpleRelay);
    expect(await exclusive(forwarder)).toEqual(active(1));
    const other = {
      ...simpleRelay,
      uid: 'above',
      input: 'above',
      outputs: [{ interface: 'out1', address: '239.20.20.20' }],
    };
    expect(await forwarder.apply([other])).toEqual([]);
    const reason = expect.stringContaining('from which relays take');
    expect(await exclusive(forwarder)).toMatchObject([{ active: false, reason }, { active: true }]);
    const sent = frames(5);
    expect((await exchange(...sent)).relayed).toEqual([...texts(sent), ...texts(sent)].sort());
    expect(await forwarder.apply([], { removed: ['above'] })).toEqual([]);
    expect(await exclusive(forwarder)).toEqual(active(1));
  });

  it('lets two data planes have the same packets', async () => {
    const first = await relaying(simpleRelay);
    await relaying({ ...simpleRelay, outputs: [{ interface: 'out1', address: '239.20.20.20' }] });
    const sent = frames(5);
    const both = [...texts(sent), ...texts(sent)].sort();
    expect(await exchange(...sent)).toEqual({ relayed: both, heard: [] });
    // The other one has its own.
    expect(await first.apply([], { replaceAll: true })).toEqual([]);
    const rest = frames(5);
    expect(await exchange(...rest)).toEqual({ relayed: texts(rest), heard: [] });
  });

  it('keeps IPv6 from the host as well', async () => {
    const group = 'ff3e::8000:1';
    const six = { ...simpleRelay, group, outputs: [{ interface: 'out1', address: 'ff3e::8000:10' }] };
    await relaying(six);
    await listener.end();
    listener = await listen(group, 'ff3e::8000:2', 'ff3e::8000:9');
    const make = (destination: string, payload: string): Buffer =>
      makeIpv6Frame({ source: '2001:db8:1::1', destination, port: PORT, payload: Buffer.from(payload) });
    const capture = await lab.capture(1, 'ipv6');
    const sender = lab.sender();
    await sender.frames(make(group, 'one'), make(group, 'two'), make('ff3e::8000:2', 'other'));
    const relayed = (await capture.rest()).map((one) => text(readIpv6Frame(one).payload));
    expect(relayed.sort()).toEqual(['one', 'two']);
    expect(await heardBefore(() => sender.frames(make('ff3e::8000:9', 'last')))).toEqual(['other']);
  });

  it.each([
    ['without CAP_BPF', ['setpriv', '--bounding-set', '-bpf,-sys_admin'], 'CAP_BPF and CAP_NET_ADMIN'],
    ['before Linux 6.6', ['python3', `${import.meta.dirname}/refuse-call.py`, 'bpf_link_create', '22'], 'Linux 6.6'],
  ])('goes on without where it is refused, and tells why: %s', async (_how, prefix, reason) => {
    const forwarder = await lab.forwarder({ exclusiveInput: true }, prefix);
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    expect(await exclusive(forwarder)).toEqual([
      { active: false, reason: expect.stringContaining(reason), destinations: 0, sharedRelays: 0, leftOut: 0 },
    ]);
    const sent = frames(5);
    expect(await exchange(...sent)).toEqual({ relayed: texts(sent), heard: texts(sent) });
  });
});

/** Sends datagrams to a group out of the relay's input, as a program of that host. */
const sendLocally = `
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.1.0.2"))
for text in sys.argv[3:]:
    sender.sendto(text.encode(), (sys.argv[1], int(sys.argv[2])))
`;
