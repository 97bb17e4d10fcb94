// Ethernet frames with IPv4 and UDP for tests: made and read byte by byte, sharing nothing with the code under test.
import { finishedChecksum, makeUdp, onesSum, readUdp, type UdpFields, type UdpSpec } from './udp-frame.ts';

export interface FrameSpec extends UdpSpec {
  readonly ttl?: number;
  /** DSCP and ECN. */
  readonly tos?: number;
  /** Identification. */
  readonly id?: number;
  /** The flags and offset field. */
  readonly fragment?: number;
  /** The last byte of the sender's Ethernet address. */
  readonly station?: number;
  readonly options?: Buffer;
  /** In place of the right UDP checksum; `unfinished`: the sum of the pseudo-header alone. */
  readonly checksum?: number | 'unfinished';
  /** In place of the Ethernet type: a VLAN tag and the type. */
  readonly tag?: number;
}

function addressBytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

function pseudoHeader(ip: Buffer, udp: Buffer): Buffer {
  return Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 17, udp.length >> 8, udp.length & 255])]);
}

function udpChecksum(spec: FrameSpec, ip: Buffer, udp: Buffer): number {
  if (spec.checksum === 'unfinished') return onesSum(pseudoHeader(ip, udp));
  return spec.checksum ?? finishedChecksum(pseudoHeader(ip, udp), udp);
}

/** Sets the checksum of the IP header at `at` again. */
export function fixIpChecksum(frame: Buffer, at = 14): Buffer {
  const header = frame.subarray(at, at + ((frame[at] ?? 0) & 15) * 4);
  header.writeUInt16BE(0, 10);
  header.writeUInt16BE(~onesSum(header) & 0xffff, 10);
  return frame;
}

export function makeFrame(spec: FrameSpec = {}): Buffer {
  const options = spec.options ?? Buffer.alloc(0);
  const udp = makeUdp(spec);
  const ip = Buffer.alloc(20);
  ip[0] = 0x45 + options.length / 4;
  ip[1] = spec.tos ?? 0;
  ip.writeUInt16BE(20 + options.length + udp.length, 2);
  ip.writeUInt16BE(spec.id ?? 0x4321, 4);
  ip.writeUInt16BE(spec.fragment ?? 0, 6);
  ip[8] = spec.ttl ?? 8;
  ip[9] = 17;
  const destination = addressBytes(spec.destination ?? '239.1.1.1');
  addressBytes(spec.source ?? '10.99.99.99').copy(ip, 12);
  destination.copy(ip, 16);
  udp.writeUInt16BE(udpChecksum(spec, ip, udp), 6);
  const ethernet = Buffer.from('01005e000000020000000099', 'hex');
  destination.copy(ethernet, 3, 1);
  ethernet[3] = (ethernet[3] ?? 0) & 0x7f;
  ethernet[11] = spec.station ?? 0x99;
  const type = spec.tag === undefined ? [8, 0] : [0x81, 0, spec.tag >> 8, spec.tag & 255, 8, 0];
  const frame = Buffer.concat([ethernet, Buffer.from(type), ip, options, udp]);
  return fixIpChecksum(frame, 12 + type.length);
}

function text(address: Buffer): string {
  return address.join('.');
}

/** The fields of a captured frame. */
export function readFrame(frame: Buffer): UdpFields & {
  destinationMac: string;
  sourceMac: string;
  source: string;
  destination: string;
  ttl: number;
  tos: number;
  id: number;
  fragment: number;
  options: string;
  ipChecksumRight: boolean;
  /** Of the IP packet. */
  length: number;
} {
  const ip = frame.subarray(14, 14 + frame.readUInt16BE(16));
  const header = ((ip[0] ?? 0) & 15) * 4;
  const udp = ip.subarray(header);
  return {
    destinationMac: frame.subarray(0, 6).toString('hex'),
    sourceMac: frame.subarray(6, 12).toString('hex'),
    source: text(ip.subarray(12, 16)),
    destination: text(ip.subarray(16, 20)),
    ttl: ip[8] ?? 0,
    tos: ip[1] ?? 0,
    id: ip.readUInt16BE(4),
    fragment: ip.readUInt16BE(6),
    options: ip.subarray(20, header).toString('hex'),
    ipChecksumRight: onesSum(ip.subarray(0, header)) === 0xffff,
    length: ip.length,
    ...readUdp(pseudoHeader(ip, udp), udp),
  };
}

/** The payload of packets.py for a datagram of `size` bytes. */
export function sentPayload(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + size) & 255));
}
