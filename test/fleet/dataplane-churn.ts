import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { ApplyRequest, DataplaneServiceClient } from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/** What was changed in a data plane, and how long it took. */
export interface DataplaneChurn {
  readonly changes: number;
  readonly seconds: number;
}

/**
 * Tells a data plane one change after the other, each in a call of its own and each in force before the next: adds, replaces and
 * removes relays that the packets of no test match.
 */
export async function churnDataplane(
  socket: string,
  ifindexes: { input: number; output: number },
  changes: number,
): Promise<DataplaneChurn> {
  const client = createClient(DataplaneServiceClient, { kind: 'unix', path: socket });
  const began = performance.now();
  for (let change = 0; change < changes; change += 1) {
    const number = Math.floor(change / 3) % 50;
    const uid = `churn-${number}`;
    const relay = {
      uid,
      name: `relays/${uid}`,
      generation: BigInt(change + 1),
      inputIfindex: ifindexes.input,
      group: `239.4.0.${number}`,
      port: 30_000 + (change % 3),
      outputs: [
        { key: 'only', ifindex: ifindexes.output, address: `239.5.0.${number}`, port: 30_000, ttl: 1 + (change % 200) },
      ],
    };
    const difference = change % 3 === 2 ? { removedUids: [uid] } : { upserts: [relay] };
    const { results } = await callUnary(client, 'apply', ApplyRequest.fromPartial(difference), { timeoutMs: 10_000 });
    const refused = results.find((result) => result.error !== undefined);
    if (refused !== undefined) throw new Error(`change ${change} was refused: ${refused.error?.message}`);
  }
  client.close();
  return { changes, seconds: (performance.now() - began) / 1000 };
}
