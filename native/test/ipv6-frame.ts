// Ethernet frames with IPv6 and UDP for tests: made and read byte by byte, sharing nothing with the code under test.
import { finishedChecksum, makeUdp, readUdp, type UdpFields, type UdpSpec } from './udp-frame.ts';

export interface Ipv6FrameSpec extends UdpSpec {
  readonly hopLimit?: number;
  /** DSCP and ECN. */
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  /** Type of one options header before UDP, of eight bytes: 0 for hops, 60 for the destination; 43 is a routing header. */
  readonly extension?: number;
  /** In place of the right UDP checksum. */
  readonly checksum?: number;
}

/** The 16 bytes of an address. */
export function addressBytes(address: string): Buffer {
  const [head = '', tail] = address.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const [before, after] = [words(head), words(tail ?? '')];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 255]));
}

function pseudoHeader(ip: Buffer, udp: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeUInt32BE(udp.length, 0);
  length[7] = 17;
  return Buffer.concat([ip.subarray(8, 40), length]);
}

export function makeIpv6Frame(spec: Ipv6FrameSpec = {}): Buffer {
  const extension = spec.extension === undefined ? Buffer.alloc(0) : Buffer.from([17, 0, 1, 4, 0, 0, 0, 0]);
  const udp = makeUdp(spec);
  const ip = Buffer.alloc(40);
  ip.writeUInt32BE((6 * 2 ** 28 + (spec.trafficClass ?? 0) * 2 ** 20 + (spec.flowLabel ?? 0)) >>> 0, 0);
  ip.writeUInt16BE(extension.length + udp.length, 4);
  ip[6] = spec.extension ?? 17;
  ip[7] = spec.hopLimit ?? 8;
  const destination = addressBytes(spec.destination ?? 'ff3e::8000:1');
  addressBytes(spec.source ?? '2001:db8:99::99').copy(ip, 8);
  destination.copy(ip, 24);
  udp.writeUInt16BE(spec.checksum ?? finishedChecksum(pseudoHeader(ip, udp), udp), 6);
  const ethernet = Buffer.concat([
    Buffer.from('3333', 'hex'),
    destination.subarray(12),
    Buffer.from('020000000099', 'hex'),
  ]);
  return Buffer.concat([ethernet, Buffer.from('86dd', 'hex'), ip, extension, udp]);
}

/** The fields of a captured frame whose IPv6 header is followed by UDP, or by options and UDP. */
export function readIpv6Frame(frame: Buffer): UdpFields & {
  destinationMac: string;
  sourceMac: string;
  source: string;
  destination: string;
  hopLimit: number;
  trafficClass: number;
  flowLabel: number;
  extensions: number;
  /** Of the IP packet. */
  length: number;
} {
  if (frame.readUInt16BE(12) !== 0x86dd || (frame[14] ?? 0) >> 4 !== 6) throw new Error('not IPv6');
  const ip = frame.subarray(14, 54 + frame.readUInt16BE(18));
  let [next, at] = [ip[6], 40];
  while (next === 0 || next === 60) {
    next = ip[at];
    at += ((ip[at + 1] ?? 0) + 1) * 8;
  }
  if (next !== 17) throw new Error(`next header ${next} is not UDP`);
  const udp = ip.subarray(at);
  return {
    destinationMac: frame.subarray(0, 6).toString('hex'),
    sourceMac: frame.subarray(6, 12).toString('hex'),
    source: ip.subarray(8, 24).toString('hex'),
    destination: ip.subarray(24, 40).toString('hex'),
    hopLimit: ip[7] ?? 0,
    trafficClass: (ip.readUInt16BE(0) >> 4) & 255,
    flowLabel: ip.readUInt32BE(0) & 0xfffff,
    extensions: at - 40,
    length: ip.length,
    ...readUdp(pseudoHeader(ip, udp), udp),
  };
}

/** An IPv6 frame without options, cut into fragments of `step` bytes. */
export function cutIpv6Frame(frame: Buffer, step: number, id = 0x01020304): Buffer[] {
  const payload = frame.subarray(54);
  const parts: Buffer[] = [];
  for (let at = 0; at < payload.length; at += step) {
    const piece = payload.subarray(at, at + step);
    const headers = Buffer.concat([frame.subarray(0, 54), Buffer.alloc(8)]);
    headers[20] = 44;
    headers[54] = frame[20] ?? 0;
    headers.writeUInt16BE(8 + piece.length, 18);
    headers.writeUInt16BE(at | (at + step < payload.length ? 1 : 0), 56);
    headers.writeUInt32BE(id, 58);
    parts.push(Buffer.concat([headers, piece]));
  }
  return parts;
}
