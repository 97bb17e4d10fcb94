import { callUnary } from '@mcfleet/common/grpc/client';
import type { ListHostsResponse } from '@mcfleet/proto/mcfleet/v1/fleet_service';
import type { ListRelayInstancesResponse, ListRelaysResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';
import type { Connection } from './connection.ts';

/** The largest page that the API gives. */
const pageSize = 1000;

/** Pages read, at most: ten times the fleets that mcfleet is made for. */
const maxPages = 10_000;

interface Page {
  readonly nextPageToken: string;
}

async function* pages<P extends Page>(read: (pageToken: string) => Promise<P>): AsyncGenerator<P> {
  let token = '';
  for (let count = 0; count < maxPages; count++) {
    const page = await read(token);
    yield page;
    token = page.nextPageToken;
    if (token === '') return;
  }
  throw new Error(`the list has no end: more than ${maxPages} pages`);
}

/** All relays in one answer, as if it were one page. Revision and resume token are the first page's: a watch misses nothing. */
export async function listRelays(
  connection: Connection,
  labelSelector: Record<string, string>,
): Promise<ListRelaysResponse> {
  let all: ListRelaysResponse | undefined;
  const read = (pageToken: string): Promise<ListRelaysResponse> =>
    connection.call((options) =>
      callUnary(connection.relays, 'listRelays', { pageSize, pageToken, labelSelector }, options),
    );
  for await (const page of pages(read)) {
    if (all === undefined) all = { ...page, nextPageToken: '' };
    else all.relays.push(...page.relays);
  }
  if (all === undefined) throw new Error('no page was read');
  return all;
}

/** All hosts in one answer. */
export async function listHosts(
  connection: Connection,
  labelSelector: Record<string, string>,
): Promise<ListHostsResponse> {
  const all: ListHostsResponse = { hosts: [], nextPageToken: '', totalSize: 0 };
  const read = (pageToken: string): Promise<ListHostsResponse> =>
    connection.call((options) =>
      callUnary(connection.fleet, 'listHosts', { pageSize, pageToken, labelSelector }, options),
    );
  for await (const page of pages(read)) {
    all.hosts.push(...page.hosts);
    all.totalSize = page.totalSize;
  }
  return all;
}

/**
 * All instances of a parent in one answer.
 * @param parent "relays/{relay}", "hosts/{host}" or "hosts/-"
 */
export async function listInstances(connection: Connection, parent: string): Promise<ListRelayInstancesResponse> {
  const all: ListRelayInstancesResponse = { relayInstances: [], nextPageToken: '', totalSize: 0 };
  const read = (pageToken: string): Promise<ListRelayInstancesResponse> =>
    connection.call((options) =>
      callUnary(connection.relays, 'listRelayInstances', { parent, pageSize, pageToken }, options),
    );
  for await (const page of pages(read)) {
    all.relayInstances.push(...page.relayInstances);
    all.totalSize = page.totalSize;
  }
  return all;
}
