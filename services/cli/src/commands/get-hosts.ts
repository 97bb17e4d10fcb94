import { callUnary } from '@mcfleet/common/grpc/client';
import { hostName } from '@mcfleet/common/names';
import { HostEvent, ListHostsResponse } from '@mcfleet/proto/mcfleet/v1/fleet_service';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { listHosts } from '../client/list-all.ts';
import { hostSource } from '../client/watch-sources.ts';
import { hostToDocument } from '../document/write.ts';
import { hostColumns } from '../render/host-view.ts';
import { bare } from '../render/names.ts';
import { protoJson } from '../render/proto-json.ts';
import { parseSelector } from '../text/selector.ts';
import type { GetRequest } from './get.ts';
import { type KindOutput, printChanges, printObjects } from './get-output.ts';
import { refuseSelectorWithName } from './get-usage.ts';
import { hostArgument } from './names.ts';

export async function listHostsCommand(request: GetRequest): Promise<void> {
  const { cli, command, name, selector, watch } = request;
  refuseSelectorWithName(request);
  const id = name === undefined ? undefined : hostArgument(name);
  const labels = selector === undefined ? {} : parseSelector(selector);
  const connection = cli.connection(command);
  const kind: KindOutput<Host> = {
    columns: (wide) => hostColumns(cli.process.now, wide),
    nameOf: (host) => bare(host.name),
    toDocument: (host) => hostToDocument(host, protoJson),
    typeName: Host.$type,
    listTypeName: ListHostsResponse.$type,
    eventTypeName: HostEvent.$type,
    toEvent: ({ type, object, suppressed }) => ({ type, host: object, suppressed }),
  };
  if (id !== undefined) {
    const host = await connection.call((call) => callUnary(connection.fleet, 'getHost', { name: hostName(id) }, call));
    if (!watch) return printObjects(request, kind, [host], undefined);
  }
  if (watch) {
    const isWanted = (host: Host): boolean => id === undefined || bare(host.name) === id;
    return printChanges(request, kind, hostSource(connection, labels), isWanted);
  }
  const list = await listHosts(connection, labels);
  printObjects(request, kind, list.hosts, list);
}
