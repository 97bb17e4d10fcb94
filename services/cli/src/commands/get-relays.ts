import { callUnary } from '@mcfleet/common/grpc/client';
import { relayName } from '@mcfleet/common/names';
import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { ListRelaysResponse, RelayEvent } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { listRelays } from '../client/list-all.ts';
import { relaySource } from '../client/watch-sources.ts';
import { relayToDocument } from '../document/write.ts';
import { bare } from '../render/names.ts';
import { protoJson } from '../render/proto-json.ts';
import { relayColumns } from '../render/relay-view.ts';
import { parseSelector } from '../text/selector.ts';
import type { GetRequest } from './get.ts';
import { type KindOutput, printChanges, printObjects } from './get-output.ts';
import { refuseSelectorWithName } from './get-usage.ts';
import { relayArgument } from './names.ts';

export async function listRelaysCommand(request: GetRequest): Promise<void> {
  const { cli, command, name, selector, watch } = request;
  refuseSelectorWithName(request);
  const id = name === undefined ? undefined : relayArgument(name);
  const labels = selector === undefined ? {} : parseSelector(selector);
  const connection = cli.connection(command);
  const kind: KindOutput<Relay> = {
    columns: (wide) => relayColumns(cli.process.now, wide),
    nameOf: (relay) => bare(relay.name),
    toDocument: (relay) => relayToDocument(relay, protoJson),
    typeName: Relay.$type,
    listTypeName: ListRelaysResponse.$type,
    eventTypeName: RelayEvent.$type,
    toEvent: ({ type, object, suppressed }) => ({ type, relay: object, suppressed }),
  };
  if (id !== undefined) {
    const relay = await connection.call((call) =>
      callUnary(connection.relays, 'getRelay', { name: relayName(id) }, call),
    );
    if (!watch) return printObjects(request, kind, [relay], undefined);
  }
  if (watch) {
    const isWanted = (relay: Relay): boolean => id === undefined || bare(relay.name) === id;
    return printChanges(request, kind, relaySource(connection, labels), isWanted);
  }
  const list = await listRelays(connection, labels);
  printObjects(request, kind, list.relays, list);
}
