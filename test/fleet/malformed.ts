import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the frames go, if they were well formed. */
const group = [239, 1, 1, 1] as const;
const source = [10, 0, 0, 1] as const;

/** A pseudo-random generator with a seed: 32 bits each time (xorshift32, Marsaglia 2003). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** A well-formed Ethernet frame with an IPv4 UDP packet to 239.1.1.1. */
export function udpFrame(port: number, payload: number): Buffer {
  const frame = Buffer.alloc(42 + payload);
  Buffer.from([0x01, 0x00, 0x5e, 0x01, 0x01, 0x01, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00]).copy(frame);
  Buffer.from([0x45, 0, 0, 0, 0, 1, 0, 0, 8, 17, 0, 0, ...source, ...group]).copy(frame, 14);
  frame.writeUInt16BE(28 + payload, 16);
  frame.writeUInt16BE(5_001, 34);
  frame.writeUInt16BE(port, 36);
  // The UDP checksum may be absent: RFC 768.
  frame.writeUInt16BE(8 + payload, 38);
  fixHeaderChecksum(frame);
  return frame;
}

/** Spoils a frame, in place or not. */
type Spoiling = (frame: Buffer, random: () => number) => Buffer;

/** The ways in which a frame is spoiled; each is given a well-formed one. */
export const spoilings = {
  'IP version 0 to 15': (frame, random) => fixed(put(frame, 14, ((random() % 16) << 4) | 5)),
  'IP header length 0 to 15 words': (frame, random) => fixed(put(frame, 14, 0x40 | (random() % 16))),
  'IP total length of anything': (frame, random) => fixed(put16(frame, 16, random() & 0xffff)),
  'IP total length below the header': (frame, random) => fixed(put16(frame, 16, random() % 20)),
  'IP header checksum wrong': (frame, random) => put16(frame, 24, frame.readUInt16BE(24) ^ (1 + (random() % 0xfffe))),
  'first fragment': (frame) => fixed(put16(frame, 20, 0x2000)),
  'fragment anywhere': (frame, random) => fixed(put16(frame, 20, random() & 0x3fff)),
  'fragment beyond 65,535 bytes': (frame) => fixed(put16(frame, 20, 0x3fff)),
  'UDP length of anything': (frame, random) => put16(frame, 38, random() & 0xffff),
  'UDP length below 8': (frame, random) => put16(frame, 38, random() % 8),
  'UDP checksum wrong': (frame, random) => put16(frame, 40, 1 + (random() % 0xfffe)),
  'cut anywhere': (frame, random) => frame.subarray(0, 14 + (random() % (frame.length - 14))),
  'cut in the UDP header': (frame, random) => fixedLength(frame.subarray(0, 34 + (random() % 8))),
  'another protocol': (frame, random) => fixed(put(frame, 23, random() & 0xff)),
  'another ethertype': (frame, random) => put16(frame, 12, random() & 0xffff),
  'VLAN tag': (frame, random) =>
    Buffer.concat([
      frame.subarray(0, 12),
      Buffer.from([0x81, 0, random() & 0x0f, random() & 0xff]),
      frame.subarray(12),
    ]),
  'VLAN tag and nothing': (frame) => Buffer.concat([frame.subarray(0, 12), Buffer.from([0x81, 0, 0, 1])]),
  'IPv6 with nothing in it': (frame) => put16(frame, 12, 0x86dd),
  'some bits flipped': (frame, random) => {
    const copy = Buffer.from(frame);
    for (let flips = 1 + (random() % 8); flips > 0; flips -= 1) {
      const at = 12 + (random() % (copy.length - 12));
      copy.writeUInt8(copy.readUInt8(at) ^ (1 << (random() % 8)), at);
    }
    return copy;
  },
  noise: (frame, random) => {
    for (let at = 14; at < frame.length; at += 1) frame.writeUInt8(random() & 0xff, at);
    return frame;
  },
  'long noise': (frame, random) => {
    const long = Buffer.alloc(1_514, frame.subarray(0, 34));
    for (let at = 34; at < long.length; at += 1) long.writeUInt8(random() & 0xff, at);
    return long;
  },
} satisfies Record<string, Spoiling>;

/** Spoiled frames of every kind in turn. */
export function malformedFrames(seed: number, count: number, port: number): Buffer[] {
  const random = randomFrom(seed);
  const kinds: readonly Spoiling[] = Object.values(spoilings);
  return Array.from({ length: count }, (_, number) => {
    const spoil = kinds[number % kinds.length] ?? ((frame: Buffer) => frame);
    return spoil(udpFrame(port, random() % 200), random);
  });
}

/**
 * The frames in the inputs that are kept for the fuzz targets, of IPv4 and IPv6, whole and in fragments: each as it is, and `changes`
 * times with a few bytes of it changed. What was meant for port 5001 goes to `port`. Longer ones are cut to what Ethernet carries.
 */
export function corpusFrames(seed: number, changes: number, port: number): Buffer[] {
  const random = randomFrom(seed);
  return [...packetCorpus(), ...fragmentCorpus()].flatMap((kept) => {
    const frame = toPort(kept.subarray(0, 1_514), port);
    const changed = Array.from({ length: changes }, (_, i) => {
      const copy = Buffer.from(frame);
      for (let left = 1 + (random() % 3); left > 0 && copy.length > 14; left -= 1) {
        copy.writeUInt8(random() & 0xff, 14 + (random() % (copy.length - 14)));
      }
      // A header with a wrong sum is dropped before the rest of it is looked at.
      return i % 2 === 0 && copy.length >= 34 && copy.readUInt8(14) >> 4 === 4 ? fixed(copy) : copy;
    });
    return [frame, ...changed];
  });
}

function corpusOf(target: string): Buffer[] {
  const directory = join(import.meta.dirname, '../../native/test/fuzz/corpus', target);
  return readdirSync(directory)
    .sort()
    .map((name) => readFileSync(join(directory, name)));
}

/** packet_fuzz.cc: a vnet header, 14 bytes of choices, of which bit 0 of the 12th says whether an Ethernet header follows. */
function packetCorpus(): Buffer[] {
  return corpusOf('packet_fuzz').map((input) => {
    const bytes = input.subarray(24);
    return (input.readUInt8(21) & 1) === 1 ? Buffer.from(bytes) : onEthernet(bytes);
  });
}

/** reassembler_fuzz.cc: length and time, of two bytes each, before every packet. */
function fragmentCorpus(): Buffer[] {
  return corpusOf('reassembler_fuzz').flatMap((input) => {
    const frames: Buffer[] = [];
    for (let at = 0; at + 4 <= input.length; ) {
      const length = input.readUInt16BE(at) % 2048;
      const packet = input.subarray(at + 4, at + 4 + length);
      if (packet.length > 0) frames.push(onEthernet(packet));
      at += 4 + length;
    }
    return frames;
  });
}

/** To the group that it is meant for. */
function onEthernet(packet: Buffer): Buffer {
  const ipv6 = (packet[0] ?? 0) >> 4 === 6;
  const address = ipv6 ? packet.subarray(36, 40) : Buffer.from([0, ...packet.subarray(17, 20)]);
  const mac = ipv6
    ? Buffer.concat([Buffer.from('3333', 'hex'), address])
    : Buffer.from([1, 0, 0x5e, (address[1] ?? 0) & 0x7f, ...address.subarray(2)]);
  return Buffer.concat([mac, Buffer.from('020000000001', 'hex'), Buffer.from(ipv6 ? '86dd' : '0800', 'hex'), packet]);
}

/** Where 5001 stands behind a source port of theirs, 4000 or 40000. The UDP checksum stays as it is, and is wrong then. */
function toPort(frame: Buffer, port: number): Buffer {
  const copy = Buffer.from(frame);
  for (const ports of ['0fa01389', '9c401389']) {
    const at = copy.indexOf(ports, 14, 'hex');
    if (at >= 0) copy.writeUInt16BE(port, at + 2);
  }
  return copy;
}

function put(frame: Buffer, at: number, byte: number): Buffer {
  frame.writeUInt8(byte, at);
  return frame;
}

function put16(frame: Buffer, at: number, word: number): Buffer {
  frame.writeUInt16BE(word, at);
  return frame;
}

function fixed(frame: Buffer): Buffer {
  fixHeaderChecksum(frame);
  return frame;
}

/** Total length as long as the frame is, so that only the UDP header is short. */
function fixedLength(frame: Buffer): Buffer {
  return fixed(put16(Buffer.from(frame), 16, frame.length - 14));
}

/** RFC 1071 over the header as long as it says it is, as far as it is there. */
function fixHeaderChecksum(frame: Buffer): void {
  frame.writeUInt16BE(0, 24);
  const end = Math.min(frame.length - 1, 14 + (frame.readUInt8(14) & 0x0f) * 4);
  let sum = 0;
  for (let at = 14; at < end; at += 2) sum += frame.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame.writeUInt16BE(~sum & 0xffff, 24);
}
