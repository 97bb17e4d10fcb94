/** What an interface counted. */
export interface Frames {
  readonly frames: number;
  readonly bytes: number;
}

/** Ethernet, IP and UDP headers. */
const HEADER_BYTES = { 4: 42, 6: 62 } as const;

export function framesBetween(before: Frames, after: Frames): Frames {
  return { frames: after.frames - before.frames, bytes: after.bytes - before.bytes };
}

export function sumOf(counted: readonly Frames[]): Frames {
  return counted.reduce((sum, one) => ({ frames: sum.frames + one.frames, bytes: sum.bytes + one.bytes }), {
    frames: 0,
    bytes: 0,
  });
}

/**
 * How many datagrams of one size, IPv4 or IPv6, arrived as these frames. A super-frame is one frame with one header and several payloads
 * (dev_lstats_add in drivers/net/veth.c counts `skb->len`), so that frames alone do not tell, but frames and bytes together do. Frames of
 * other protocols (ARP, IGMP) are bytes that do not fill a datagram and fall out.
 */
export function datagramsIn({ frames, bytes }: Frames, size: number, family: 4 | 6 = 4): number {
  return Math.floor((bytes - HEADER_BYTES[family] * frames) / size);
}
