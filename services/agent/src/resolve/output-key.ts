import { isIPv6 } from 'node:net';
import type { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';

/**
 * Names the outputs of a relay as they are shown to people, "239.10.10.10:6001@eth1", unique within the relay. Counters are kept
 * under these names, so a name depends on nothing but the output itself. Outputs that differ in TTL or source only are told apart
 * by a number: "239.10.10.10:6001@eth1#2".
 */
export function outputKeys(relay: ResolvedRelay): string[] {
  const seen = new Map<string, number>();
  return relay.outputs.map((output) => {
    const address = output.address || (relay.input?.group ?? '');
    const port = output.port ?? relay.input?.port;
    const host = port === undefined ? address : `${isIPv6(address) ? `[${address}]` : address}:${port}`;
    const key = `${host}@${output.interface}`;
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    return count === 1 ? key : `${key}#${count}`;
  });
}
