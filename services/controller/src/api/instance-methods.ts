import { toMilliseconds } from '@mcfleet/common/duration';
import { type CallContext, type ResponseStream, serverStream, unary } from '@mcfleet/common/grpc/handlers';
import { hostName, relayInstanceName } from '@mcfleet/common/names';
import { quote } from '@mcfleet/common/quote';
import { RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import type {
  ListRelayInstancesRequest,
  ListRelayInstancesResponse,
  WatchRelayInstancesRequest,
  WatchRelayInstancesResponse,
} from '@mcfleet/proto/mcfleet/v1/relay_service';
import { refusal } from '../errors.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { keyOf } from '../fleet/placement.ts';

import { cutPage, type Pages } from './pages.ts';
import { relayNotFound } from './relay-writes.ts';
import { hostKey, invalidRequest, relayKey } from './requests.ts';
import type { SentEvent, Watches } from './watch.ts';
import type { WatchQueue } from './watch-queue.ts';

const MIN_COUNTERS_MS = 100;
const MAX_COUNTERS_MS = 60 * 60 * 1000;

export interface InstanceMethodsParts {
  readonly fleet: Fleet;
  readonly pages: Pages;
  readonly watches: Watches;
}

/** What a request asks for: the instances of one host, of one relay, or all. */
interface Parent {
  readonly host?: string;
  readonly relay?: string;
}

/** The methods of RelayService about relay instances. */
export class InstanceMethods {
  readonly #parts: InstanceMethodsParts;

  constructor(parts: InstanceMethodsParts) {
    this.#parts = parts;
  }

  handlers() {
    return {
      listRelayInstances: unary((request: ListRelayInstancesRequest) => this.list(request)),
      watchRelayInstances: serverStream(
        (request: WatchRelayInstancesRequest, context, responses: ResponseStream<WatchRelayInstancesResponse>) =>
          this.watch(request, context, responses),
      ),
    };
  }

  async list({ parent, pageSize, pageToken }: ListRelayInstancesRequest): Promise<ListRelayInstancesResponse> {
    const { fleet, pages } = this.#parts;
    const keys = this.#keys(this.#parent(parent));
    const { limit, after } = pages.start('instances', { pageSize, pageToken, filter: parent });
    const behind = after === undefined ? keys : keys.filter((key) => nameOf(key) > nameOf(after));
    const read = (key: string): RelayInstance | undefined => {
      const view = fleet.instances.get(key);
      return view === undefined ? undefined : fleet.withCounters(view);
    };
    const { items, lastKey } = cutPage(behind, limit, read, (each) => RelayInstance.encode(each).finish().length);
    return {
      relayInstances: [...items],
      nextPageToken: pages.next('instances', lastKey, parent, {}),
      totalSize: keys.length,
    };
  }

  async watch(
    request: WatchRelayInstancesRequest,
    context: CallContext,
    responses: ResponseStream<WatchRelayInstancesResponse>,
  ): Promise<void> {
    const { fleet, watches } = this.#parts;
    const parent = this.#parent(request.parent);
    const intervalMs = countersInterval(request);
    const watch = {
      board: fleet.instances,
      matches: ({ host, relay }: RelayInstance) =>
        (parent.host === undefined || host === hostName(parent.host)) &&
        (parent.relay === undefined || keyOf({ name: relay }) === parent.relay),
      identify: ({ host, relayUid }: RelayInstance) => `${host} ${relayUid}`,
      initial: request.sendInitial ? this.#keys(parent) : undefined,
      sizeOf: (view: RelayInstance) => RelayInstance.encode(fleet.withCounters(view)).finish().length,
      send: (events: readonly SentEvent<RelayInstance>[]) =>
        responses.write({
          events: events.map(({ type, view, suppressed }) => ({
            type,
            relayInstance: view && fleet.withCounters(view),
            suppressed,
          })),
        }),
    };
    const poll = intervalMs === undefined ? undefined : { intervalMs, offer: this.#counterChanges(parent) };
    await watches.serve(poll === undefined ? watch : { ...watch, poll }, context);
  }

  /** Offers the instances whose counters are newer than when it was last called. Remembers one time per instance. */
  #counterChanges(parent: Parent): (queue: WatchQueue<RelayInstance>) => void {
    const { fleet } = this.#parts;
    let seen = new Map<string, number>();
    return (queue) => {
      const now = new Map<string, number>();
      for (const key of this.#keys(parent)) {
        const view = fleet.instances.get(key);
        const time = view === undefined ? undefined : fleet.countersChanged(view)?.getTime();
        if (view === undefined || time === undefined) continue;
        now.set(key, time);
        if (seen.get(key) !== time) queue.offer({ before: view, after: view });
      }
      seen = now;
    };
  }

  /** @throws FleetError INVALID_REQUEST, HOST_NOT_FOUND or RELAY_NOT_FOUND */
  #parent(text: string): Parent {
    if (text === '' || text === 'hosts/-' || text === 'relays/-') return {};
    const { host: hosts, relay: relays } = this.#parts.fleet.store.tables;
    if (text.startsWith('hosts/')) {
      const host = hostKey(text, 'parent');
      if (hosts.has(host)) return { host };
      throw refusal('HOST_NOT_FOUND', `there is no host ${host}`, { metadata: { name: text } });
    }
    if (!text.startsWith('relays/')) {
      const description = `${quote(text)} is neither "hosts/{host}" nor "relays/{relay}" nor "hosts/-"`;
      throw invalidRequest([{ field: 'parent', description }]);
    }
    const relay = relayKey(text, 'parent');
    if (relays.has(relay)) return { relay };
    throw relayNotFound(relay);
  }

  /** Keys "{host}/{relay}" of the board, in the order of the instances' names. */
  #keys({ host, relay }: Parent): string[] {
    const { fleet } = this.#parts;
    const hosts =
      host !== undefined ? [host] : relay !== undefined ? fleet.hostsOf(relay) : fleet.store.tables.host.sortedKeys();
    const keys: string[] = [];
    for (const each of hosts) {
      if (relay !== undefined) keys.push(`${each}/${relay}`);
      else for (const of of fleet.relaysOf(each)) keys.push(`${each}/${of}`);
    }
    return keys.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }
}

function nameOf(key: string): string {
  const [host = '', relay = ''] = key.split('/');
  return relayInstanceName(host, relay);
}

/** @throws FleetError INVALID_REQUEST */
function countersInterval({ countersInterval: interval }: WatchRelayInstancesRequest): number | undefined {
  if (interval === undefined) return undefined;
  const ms = toMilliseconds(interval);
  if (ms >= MIN_COUNTERS_MS && ms <= MAX_COUNTERS_MS) return ms;
  throw invalidRequest([{ field: 'counters_interval', description: `is ${ms} ms; it must be 100 ms to 1 h` }]);
}
