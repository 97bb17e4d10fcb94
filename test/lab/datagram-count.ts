/** What an interface counted. */
export interface Frames {
  readonly frames: number;
  readonly bytes: number;
}

/** Ethernet, IPv4 and UDP headers. */
const HEADER_BYTES = 42;

export function framesBetween(before: Frames, after: Frames): Frames {
  return { frames: after.frames - before.frames, bytes: after.bytes - before.bytes };
}

/**
 * How many datagrams of one size arrived as these frames. A super-frame is one frame with one header and several payloads
 * (dev_lstats_add in drivers/net/veth.c counts `skb->len`), so that frames alone do not tell, but frames and bytes together do. Frames of
 * other protocols (ARP, IGMP) are bytes that do not fill a datagram and fall out.
 */
export function datagramsIn({ frames, bytes }: Frames, size: number): number {
  return Math.floor((bytes - HEADER_BYTES * frames) / size);
}
