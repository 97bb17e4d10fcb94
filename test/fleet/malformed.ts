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
