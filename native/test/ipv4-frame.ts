// Ethernet frames with IPv4 and UDP for tests: made and read byte by byte, sharing nothing with the code under test.

export interface FrameSpec {
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly port?: number;
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
  readonly payload?: Buffer;
  /** In place of the right UDP checksum; `unfinished`: the sum of the pseudo-header alone. */
  readonly checksum?: number | 'unfinished';
  /** In place of the Ethernet type: a VLAN tag and the type. */
  readonly tag?: number;
}

function addressBytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

export function onesSum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

function pseudoHeader(ip: Buffer, udp: Buffer): Buffer {
  return Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 17, udp.length >> 8, udp.length & 255])]);
}

function udpSum(ip: Buffer, udp: Buffer): number {
  return onesSum(Buffer.concat([pseudoHeader(ip, udp), udp]));
}

function udpChecksum(spec: FrameSpec, ip: Buffer, udp: Buffer): number {
  if (spec.checksum === 'unfinished') return onesSum(pseudoHeader(ip, udp));
  return spec.checksum ?? (~udpSum(ip, udp) & 0xffff || 0xffff);
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
  const payload = spec.payload ?? Buffer.from('mcfleet');
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(spec.sourcePort ?? 4000, 0);
  udp.writeUInt16BE(spec.port ?? 5001, 2);
  udp.writeUInt16BE(8 + payload.length, 4);
  const ip = Buffer.alloc(20);
  ip[0] = 0x45 + options.length / 4;
  ip[1] = spec.tos ?? 0;
  ip.writeUInt16BE(28 + options.length + payload.length, 2);
  ip.writeUInt16BE(spec.id ?? 0x4321, 4);
  ip.writeUInt16BE(spec.fragment ?? 0, 6);
  ip[8] = spec.ttl ?? 8;
  ip[9] = 17;
  const destination = addressBytes(spec.destination ?? '239.1.1.1');
  addressBytes(spec.source ?? '10.99.99.99').copy(ip, 12);
  destination.copy(ip, 16);
  udp.writeUInt16BE(udpChecksum(spec, ip, Buffer.concat([udp, payload])), 6);
  const ethernet = Buffer.from('01005e000000020000000099', 'hex');
  destination.copy(ethernet, 3, 1);
  ethernet[3] = (ethernet[3] ?? 0) & 0x7f;
  ethernet[11] = spec.station ?? 0x99;
  const type = spec.tag === undefined ? [8, 0] : [0x81, 0, spec.tag >> 8, spec.tag & 255, 8, 0];
  const frame = Buffer.concat([ethernet, Buffer.from(type), ip, options, udp, payload]);
  return fixIpChecksum(frame, 12 + type.length);
}

function text(address: Buffer): string {
  return address.join('.');
}

/** The fields of a captured frame. */
export function readFrame(frame: Buffer): {
  destinationMac: string;
  sourceMac: string;
  source: string;
  destination: string;
  sourcePort: number;
  port: number;
  ttl: number;
  tos: number;
  id: number;
  fragment: number;
  options: string;
  ipChecksumRight: boolean;
  udpChecksum: 'right' | 'wrong' | 'none';
  /** Of the IP packet. */
  length: number;
  payload: Buffer;
} {
  const ip = frame.subarray(14, 14 + frame.readUInt16BE(16));
  const header = ((ip[0] ?? 0) & 15) * 4;
  const udp = ip.subarray(header);
  const none = udp.readUInt16BE(6) === 0;
  return {
    destinationMac: frame.subarray(0, 6).toString('hex'),
    sourceMac: frame.subarray(6, 12).toString('hex'),
    source: text(ip.subarray(12, 16)),
    destination: text(ip.subarray(16, 20)),
    sourcePort: udp.readUInt16BE(0),
    port: udp.readUInt16BE(2),
    ttl: ip[8] ?? 0,
    tos: ip[1] ?? 0,
    id: ip.readUInt16BE(4),
    fragment: ip.readUInt16BE(6),
    options: ip.subarray(20, header).toString('hex'),
    ipChecksumRight: onesSum(ip.subarray(0, header)) === 0xffff,
    udpChecksum: none ? 'none' : udpSum(ip, udp) === 0xffff ? 'right' : 'wrong',
    length: ip.length,
    payload: udp.subarray(8),
  };
}

/** The payload of packets.py for a datagram of `size` bytes. */
export function sentPayload(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + size) & 255));
}
