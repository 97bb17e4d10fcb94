// The UDP datagrams in the frames of tests, which the two IP families have in common.

export interface UdpSpec {
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly port?: number;
  readonly payload?: Buffer;
}

/** What stands in a captured datagram. */
export interface UdpFields {
  readonly sourcePort: number;
  readonly port: number;
  readonly udpChecksum: 'right' | 'wrong' | 'none';
  readonly payload: Buffer;
}

/** The ones' complement sum of RFC 1071. */
export function onesSum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** A datagram without its checksum. */
export function makeUdp({ sourcePort = 4000, port = 5001, payload = Buffer.from('mcfleet') }: UdpSpec): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([header, payload]);
}

/** The checksum that makes a datagram right, of which `pseudoHeader` goes before it. */
export function finishedChecksum(pseudoHeader: Buffer, udp: Buffer): number {
  return ~onesSum(Buffer.concat([pseudoHeader, udp])) & 0xffff || 0xffff;
}

export function readUdp(pseudoHeader: Buffer, udp: Buffer): UdpFields {
  const none = udp.readUInt16BE(6) === 0;
  const right = onesSum(Buffer.concat([pseudoHeader, udp])) === 0xffff;
  return {
    sourcePort: udp.readUInt16BE(0),
    port: udp.readUInt16BE(2),
    udpChecksum: none ? 'none' : right ? 'right' : 'wrong',
    payload: udp.subarray(8),
  };
}
