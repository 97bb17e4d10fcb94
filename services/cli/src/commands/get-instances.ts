import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { hostName, relayInstanceName, relayName } from '@mcfleet/common/names';
import { RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { ListRelayInstancesResponse, RelayInstanceEvent } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { listInstances, listRelays } from '../client/list-all.ts';
import { instanceSource } from '../client/watch-sources.ts';
import { instanceToDocument } from '../document/write.ts';
import { UsageError } from '../exit.ts';
import { instanceColumns, instanceName } from '../render/instance-view.ts';
import { protoJson } from '../render/proto-json.ts';
import { parseSelector } from '../text/selector.ts';
import type { GetRequest } from './get.ts';
import { type KindOutput, printChanges, printObjects } from './get-output.ts';
import { refuseSelectorWithName } from './get-usage.ts';
import { hostArgument, relayArgument } from './names.ts';

export async function listInstancesCommand(request: GetRequest): Promise<void> {
  const { cli, command, name, selector, watch } = request;
  refuseSelectorWithName(request);
  if (watch && selector !== undefined) throw new UsageError('get instances -w takes no -l: name a relay, or watch all');
  const { parent, instance } = parentOf(name);
  const connection = cli.connection(command);
  const kind: KindOutput<RelayInstance> = {
    columns: (wide) => instanceColumns(cli.process.now, wide),
    nameOf: instanceName,
    toDocument: (one) => instanceToDocument(one, protoJson),
    typeName: RelayInstance.$type,
    listTypeName: ListRelayInstancesResponse.$type,
    eventTypeName: RelayInstanceEvent.$type,
    toEvent: ({ type, object, suppressed }) => ({ type, relayInstance: object, suppressed }),
  };
  const isWanted = (one: RelayInstance): boolean => instance === undefined || one.name === instance;
  if (watch) return printChanges(request, kind, instanceSource(connection, parent), isWanted);
  const list = await listInstances(connection, parent);
  if (instance !== undefined) {
    const found = list.relayInstances.filter(isWanted);
    if (found.length === 0) throw notFound(name ?? '');
    return printObjects(request, kind, found, undefined);
  }
  if (selector !== undefined) {
    const { relays } = await listRelays(connection, parseSelector(selector));
    const selected = new Set(relays.map((relay) => relay.name));
    list.relayInstances = list.relayInstances.filter(({ relay }) => selected.has(relay));
    list.totalSize = list.relayInstances.length;
  }
  printObjects(request, kind, list.relayInstances, list);
}

/** RELAY, relays/RELAY, hosts/HOST, HOST/RELAY or hosts/HOST/relayInstances/RELAY. */
function parentOf(name: string | undefined): { readonly parent: string; readonly instance?: string } {
  if (name === undefined) return { parent: 'hosts/-' };
  const parts = name.split('/');
  const [first = '', second = '', third, fourth = ''] = parts;
  if (parts.length === 1) return { parent: relayName(relayArgument(first)) };
  if (parts.length === 2 && first === 'relays') return { parent: relayName(relayArgument(second)) };
  if (parts.length === 2 && first === 'hosts') return { parent: hostName(hostArgument(second)) };
  const full = parts.length === 4 && first === 'hosts' && third === 'relayInstances';
  if (!full && parts.length !== 2)
    throw new UsageError(`"${name}" is no instance: write RELAY, hosts/HOST or HOST/RELAY`);
  const [host, relay] = full ? [second, fourth] : [first, second];
  const relayId = relayArgument(relay);
  return { parent: relayName(relayId), instance: relayInstanceName(hostArgument(host), relayId) };
}

function notFound(name: string): FleetError {
  return new FleetError({
    code: status.NOT_FOUND,
    reason: 'NOT_FOUND',
    message: `there is no instance ${name}: no such relay, or it is not meant for that host`,
  });
}
