import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import {
  DataplaneServiceClient,
  SnapshotRequest,
  type SnapshotResponse,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/** Reads the counters of a data plane at its socket, which is not bound to a namespace. */
export async function readSnapshot(socket: string): Promise<SnapshotResponse> {
  const client = createClient(DataplaneServiceClient, { kind: 'unix', path: socket });
  try {
    return await callUnary(client, 'snapshot', SnapshotRequest.fromPartial({}), { timeoutMs: 5_000 });
  } finally {
    client.close();
  }
}

/** What the data plane says of its own losses, to find out where packets went that a receiver misses. */
export function accountOf({ inputs, relays }: SnapshotResponse): string {
  const outputs = relays.flatMap((relay) => relay.counters?.outputs ?? []);
  const drops = [...inputs, ...relays.flatMap((relay) => relay.counters ?? []), ...outputs].flatMap(
    (part) => part.drops,
  );
  const parts = [
    ...inputs.map(
      (input) => `${input.rxPackets} taken from the ring, ${input.kernelDrops} dropped by the kernel before it`,
    ),
    ...outputs.map((output) => `${output.txPackets} to ${output.output}`),
    ...drops.filter((drop) => drop.packets > 0n).map((drop) => `${drop.packets} dropped: ${drop.reason}`),
  ];
  return `the data plane's account: ${parts.join(', ')}`;
}
