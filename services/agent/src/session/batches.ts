/**
 * Bytes of one message to the controller. Its HTTP/2 window is 64 KiB and cannot be raised (grpc-js servers), so a larger message
 * would need more than one round trip and hold up heartbeats behind it.
 */
export const MAX_MESSAGE_BYTES = 48 * 1024;

/** Bytes that an item in a repeated field needs beside itself (tag and length), and a message beside its items. */
export const ITEM_OVERHEAD = 6;
const MESSAGE_OVERHEAD = 64;

/** Splits items into lists that each fit into one message. An item larger than that gets a list of its own. */
export function inBatches<Item>(
  items: Iterable<Item>,
  sizeOf: (item: Item) => number,
  maxBytes: number = MAX_MESSAGE_BYTES,
): Item[][] {
  const batches: Item[][] = [];
  let current: Item[] = [];
  let bytes = MESSAGE_OVERHEAD;
  for (const item of items) {
    const size = sizeOf(item) + ITEM_OVERHEAD;
    if (current.length > 0 && bytes + size > maxBytes) {
      batches.push(current);
      current = [];
      bytes = MESSAGE_OVERHEAD;
    }
    current.push(item);
    bytes += size;
  }
  if (current.length > 0) batches.push(current);
  return batches;
}
