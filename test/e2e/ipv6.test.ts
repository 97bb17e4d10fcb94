// An IPv6 relay from the document to a plain UDP socket: a stream at 20,000 packets per second, counted and hashed where it arrives.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LineProcess, PacketCapture, PacketSender } from '../../native/test/forwarder-process.ts';
import { addressBytes, makeIpv6Frame, readIpv6Frame } from '../../native/test/ipv6-frame.ts';
import { Fleet } from '../fleet/fleet.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';

const COUNT = 60_000;
const RATE = 20_000;

/** What both ends have in common: numbered payloads of 1316 bytes. */
const common = `
import hashlib, socket, struct, sys, time
COUNT, RATE = ${COUNT}, ${RATE}
digest = hashlib.sha256()
`;

/** Sends the stream evenly, and says its SHA-256. */
const sender = `${common}
sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("veth0"))
sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 5)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
begin = time.monotonic()
for number in range(COUNT):
    while time.monotonic() < begin + number / RATE:
        pass
    payload = struct.pack("!Q", number) + bytes((number * 7 + i) & 255 for i in range(4)) * 327
    digest.update(payload)
    sender.sendto(payload, ("ff3e::8000:1", 5001))
print(digest.hexdigest(), flush=True)
`;

/** Receives on the group, says "ready", and then how many came and their SHA-256, when all did or nothing has come for a while. */
const receiver = `${common}
receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)
receiver.bind(("::", 6001))
index = socket.if_nametoindex("veth2")
group = socket.inet_pton(socket.AF_INET6, "ff3e::8000:10")
receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", index))
print("ready", flush=True)
count = 0
receiver.settimeout(30)
try:
    while count < COUNT:
        digest.update(receiver.recv(2000))
        count += 1
        receiver.settimeout(5)
except TimeoutError:
    pass
print(count, digest.hexdigest(), flush=True)
`;

describeWithLab('an IPv6 relay', () => {
  let lab: Lab;
  let fleet: Fleet;
  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    lab = await Lab.create(chain());
    await lab.ip('gen', 'address add 2001:db8:1::1/64 dev veth0 nodad');
    await lab.ip(
      'relay',
      'address add 2001:db8:1::2/64 dev veth1 nodad',
      'address add 2001:db8:2::2/64 dev veth3 nodad',
    );
    await lab.ip('sink', 'address add 2001:db8:2::1/64 dev veth2 nodad');
    fleet = await Fleet.start(lab, { controller: 'relay', hosts: { edge: 'relay' } });
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  function apply(output: object, ...options: string[]): Promise<unknown> {
    const input = { interface: 'veth1', group: 'ff3e:0::8000:1', port: 5001 };
    const document = {
      apiVersion: 'mcfleet/v1',
      kind: 'Relay',
      metadata: { name: 'six' },
      spec: { hosts: { names: ['edge'] }, input, outputs: [{ interface: 'veth3', ...output }] },
    };
    return fleet.command(['apply', '-f', '-', ...options], { input: JSON.stringify(document) });
  }

  it('loses and changes nothing of a stream, and rewrites what its output says', async () => {
    await apply({ address: 'ff3e::8000:10', port: 6001, ttl: 9, dscp: 46 }, '--wait');
    const capture = await PacketCapture.start(lab.realName('sink'), 'veth2', 'capture6');
    const sink = new LineProcess(lab.realName('sink'), 'python3', '-c', receiver);
    expect(await sink.line()).toBe('ready');
    const source = new LineProcess(lab.realName('gen'), 'python3', '-c', sender);
    const [first] = await capture.take(1);
    expect(first && readIpv6Frame(first)).toMatchObject({
      source: addressBytes('2001:db8:2::2').toString('hex'),
      destination: addressBytes('ff3e::8000:10').toString('hex'),
      destinationMac: '333380000010',
      port: 6001,
      hopLimit: 9,
      trafficClass: 46 << 2,
    });
    capture.child.kill('SIGKILL');
    const sent = await source.line();
    expect(await sink.line()).toBe(`${COUNT} ${sent}`);
    expect(await fleet.command(['describe', 'relay', 'six'])).toContain('[ff3e::8000:10]:6001@veth3');
    await Promise.all([source.end(), sink.end()]);
  });

  it('tells of an output that has to send from a link-local address, and of it no more when it has another', async () => {
    await apply({ address: 'ff3e::8000:10', port: 6001 }, '--wait');
    const described = (): Promise<string> => fleet.command(['describe', 'relay', 'six']);
    expect(await described()).not.toContain('link-local');
    const capture = await PacketCapture.start(lab.realName('sink'), 'veth2', 'capture6');
    const source = new PacketSender(lab.realName('gen'), 'veth0');
    const send = async (text: string): Promise<string | undefined> => {
      await source.frames(makeIpv6Frame({ payload: Buffer.from(text) }));
      const [frame] = await capture.take(1);
      return frame && readIpv6Frame(frame).source;
    };
    expect(await send('one')).toBe(addressBytes('2001:db8:2::2').toString('hex'));
    await lab.ip('relay', 'address del 2001:db8:2::2/64 dev veth3');
    await expect.poll(described).toContain('@veth3 sends from a link-local address');
    expect(await send('two')).toMatch(/^fe80/);
    await lab.ip('relay', 'address add 2001:db8:2::2/64 dev veth3 nodad');
    await expect.poll(described).not.toContain('link-local');
    expect(await send('three')).toBe(addressBytes('2001:db8:2::2').toString('hex'));
    await Promise.all([capture.end(), source.end()]);
  });

  it('is refused where it would become IPv4, in the words of the file', async () => {
    const refused = apply({ address: '239.1.1.1' });
    await expect(refused).rejects.toThrow(
      /outputs\[0\].address.*239\.1\.1\.1 is IPv4, but the input is IPv6: relays do not translate between them/,
    );
  });
});
