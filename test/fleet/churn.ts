/**
 * Changes relays one after the other, as fast as they are acknowledged: adds a hundred, updates each eight times, removes them, and
 * over again. Run beside a controller: node test/fleet/churn.ts SERVER HOST INPUT OUTPUT CHANGES. Prints a JSON object.
 */
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { parseListenAddress } from '@mcfleet/common/listen';
import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import {
  CreateRelayRequest,
  DeleteRelayRequest,
  RelayServiceClient,
  UpdateRelayRequest,
} from '@mcfleet/proto/mcfleet/v1/relay_service';

/** So many other relays lie between two changes of one: the controller cannot merge them into one push. */
const relays = 100;
const roundsPerLife = 10;
const timeoutMs = 10_000;

async function main([server, host, input, output, changes]: readonly string[]): Promise<void> {
  const total = Number(changes);
  if (!server || !host || !input || !output || !(total > 0) || total % (relays * roundsPerLife) !== 0) {
    throw new Error(`usage: churn.ts SERVER HOST INPUT OUTPUT CHANGES (a multiple of ${relays * roundsPerLife})`);
  }
  const client = createClient(RelayServiceClient, parseListenAddress(server));
  const began = performance.now();
  const counts = { added: 0, updated: 0, removed: 0 };
  for (let change = 0; change < total; change += 1) {
    const round = Math.floor(change / relays);
    const relay = relayOf(change % relays, round, host, input, output);
    if (round % roundsPerLife === 0) {
      await callUnary(client, 'createRelay', CreateRelayRequest.fromPartial({ relay }), { timeoutMs });
      counts.added += 1;
    } else if (round % roundsPerLife === roundsPerLife - 1) {
      await callUnary(client, 'deleteRelay', DeleteRelayRequest.fromPartial({ name: relay.name }), { timeoutMs });
      counts.removed += 1;
    } else {
      await callUnary(client, 'updateRelay', UpdateRelayRequest.fromPartial({ relay, updateMask: ['spec'] }), {
        timeoutMs,
      });
      counts.updated += 1;
    }
  }
  client.close();
  process.stdout.write(`${JSON.stringify({ ...counts, seconds: (performance.now() - began) / 1000 })}\n`);
}

/** Groups, ports and outputs change from round to round, so that filters, memberships and rules all have to follow. */
function relayOf(number: number, round: number, host: string, input: string, output: string): Relay {
  const third = 100 + (round % 4);
  return Relay.fromPartial({
    name: `relays/churn-${number}`,
    spec: {
      hosts: { names: [host] },
      input: { interface: input, group: `239.2.${third}.${number}`, port: 10_000 + number },
      outputs: [
        {
          interface: output,
          address: `239.3.${third}.${number}`,
          port: 20_000 + (round % 1_000),
          ttl: 1 + (round % 200),
        },
      ],
    },
  });
}

await main(process.argv.slice(2));
