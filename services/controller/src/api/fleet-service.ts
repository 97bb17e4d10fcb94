import type { Clock } from '@mcfleet/common/clock';
import { type CallContext, type ResponseStream, serverStream, unary } from '@mcfleet/common/grpc/handlers';
import type { ServiceRegistration } from '@mcfleet/common/grpc/server';
import { hostName } from '@mcfleet/common/names';
import { uuidv7 } from '@mcfleet/common/uuid';
import type { Empty } from '@mcfleet/proto/google/protobuf/empty';
import {
  type DeleteHostRequest,
  FleetServiceService,
  type GetHostRequest,
  type ListHostsRequest,
  type ListHostsResponse,
  type UpdateHostRequest,
  type WatchHostsRequest,
  type WatchHostsResponse,
} from '@mcfleet/proto/mcfleet/v1/fleet_service';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { refusal } from '../errors.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { labelsOf } from '../fleet/placement.ts';
import { matchesLabels } from '../resolve/selector.ts';
import { etagOf } from '../store/etag.ts';
import { BY_HOST_NAME } from '../store/kinds.ts';
import type { Transaction } from '../store/store.ts';
import { validateAnnotations, validateDisplayName, validateLabels } from '../validate/metadata.ts';
import { Violations } from '../validate/violations.ts';
import { cutPage, type Pages } from './pages.ts';
import { assertEtag, assertNoEtag } from './relay-writes.ts';
import { assertValid, hostKey, invalidRequest, invalidSpec, validateSelector } from './requests.ts';
import { canonicalHash } from './tokens.ts';
import { applyMask, type MaskTree } from './update-mask.ts';
import type { SentEvent, Watches } from './watch.ts';

/** Fields of a host that an update mask can name. */
const HOST_MASK: MaskTree = {
  name: 'ignored',
  uid: 'ignored',
  display_name: 'leaf',
  labels: 'leaf',
  annotations: 'leaf',
  etag: 'ignored',
  revision: 'ignored',
  create_time: 'ignored',
  update_time: 'ignored',
  status: 'ignored',
};

export interface FleetServiceParts {
  readonly fleet: Fleet;
  readonly pages: Pages;
  readonly watches: Watches;
  readonly clock: Clock;
}

/** FleetService, for the admin listener. */
export function fleetService(parts: FleetServiceParts): ServiceRegistration {
  const methods = new HostMethods(parts);
  const implementation = {
    getHost: unary((request: GetHostRequest) => methods.get(request)),
    listHosts: unary((request: ListHostsRequest) => methods.list(request)),
    watchHosts: serverStream((request: WatchHostsRequest, context, responses: ResponseStream<WatchHostsResponse>) =>
      methods.watch(request, context, responses),
    ),
    updateHost: unary((request: UpdateHostRequest) => methods.update(request)),
    deleteHost: unary((request: DeleteHostRequest) => methods.delete(request)),
  } satisfies Record<keyof typeof FleetServiceService, unknown>;
  return { definition: FleetServiceService, implementation };
}

class HostMethods {
  readonly #parts: FleetServiceParts;

  constructor(parts: FleetServiceParts) {
    this.#parts = parts;
  }

  async get({ name }: GetHostRequest): Promise<Host> {
    const { fleet } = this.#parts;
    const key = hostKey(name, 'name');
    const host = fleet.hosts.get(key);
    if (host === undefined) throw hostNotFound(key);
    return fleet.withLastSeen(host);
  }

  async list({ pageSize, pageToken, labelSelector }: ListHostsRequest): Promise<ListHostsResponse> {
    validateSelector(labelSelector, 'label_selector');
    const { fleet, pages } = this.#parts;
    const { limit, after } = pages.start('hosts', { pageSize, pageToken, filter: labelSelector });
    const { host: table } = fleet.store.tables;
    const matching = table.sortedKeys().filter((key) => {
      const host = table.get(key);
      return host !== undefined && matchesLabels(labelSelector, labelsOf(host));
    });
    const behind = after === undefined ? matching : matching.filter((key) => key > after);
    const read = (key: string): Host | undefined => {
      const host = fleet.hosts.get(key);
      return host === undefined ? undefined : fleet.withLastSeen(host);
    };
    const { items, lastKey } = cutPage(behind, limit, read, (host) => Host.encode(host).finish().length);
    return {
      hosts: [...items],
      nextPageToken: pages.next('hosts', lastKey, labelSelector, {}),
      totalSize: matching.length,
    };
  }

  async watch(
    { labelSelector, sendInitial }: WatchHostsRequest,
    context: CallContext,
    responses: ResponseStream<WatchHostsResponse>,
  ): Promise<void> {
    validateSelector(labelSelector, 'label_selector');
    const { fleet, watches } = this.#parts;
    const watch = {
      board: fleet.hosts,
      matches: (host: Host) => matchesLabels(labelSelector, labelsOf(host)),
      identify: (host: Host) => host.uid,
      initial: sendInitial ? fleet.store.tables.host.sortedKeys() : undefined,
      sizeOf: (host: Host) => Host.encode(host).finish().length,
      send: (events: readonly SentEvent<Host>[]) =>
        responses.write({
          events: events.map(({ type, view, suppressed }) => ({
            type,
            host: view && fleet.withLastSeen(view),
            suppressed,
          })),
        }),
    };
    await watches.serve(watch, context);
  }

  async update({ host, updateMask, allowMissing, validateOnly }: UpdateHostRequest): Promise<Host> {
    if (host === undefined) throw invalidRequest([{ field: 'host', description: 'is missing' }]);
    const key = hostKey(host.name, 'host.name');
    const { fleet, clock } = this.#parts;
    const work = (transaction: Transaction): Host => {
      const stored = transaction.hosts.get(key);
      if (stored === undefined && !allowMissing) throw hostNotFound(key);
      if (stored === undefined) assertNoEtag(host.etag, hostName(key));
      else assertEtag(host.etag, stored);
      const violations = new Violations();
      const now = new Date(clock.now());
      const target = stored ?? Host.fromPartial({ name: hostName(key), uid: uuidv7(clock), createTime: now });
      const paths = stored === undefined ? undefined : updateMask;
      const wanted = Host.fromPartial(applyMask({ target, source: host, paths }, HOST_MASK, violations));
      assertValid(violations);
      validateHost(wanted);
      if (stored !== undefined && sameIntent(stored, wanted)) return stored;
      const { revision } = transaction;
      const next = { ...wanted, revision, etag: etagOf(wanted.uid, revision), updateTime: now };
      transaction.put('host', key, next);
      return next;
    };
    if (validateOnly) return fleet.store.dryRun(work);
    const written = await fleet.store.write(work);
    const view = fleet.hosts.get(key);
    return view?.revision === written.revision ? fleet.withLastSeen(view) : written;
  }

  async delete({ name, etag, validateOnly }: DeleteHostRequest): Promise<Empty> {
    const key = hostKey(name, 'name');
    const { fleet } = this.#parts;
    const work = (transaction: Transaction): Empty => {
      const stored = transaction.hosts.get(key);
      if (stored === undefined) throw hostNotFound(key);
      assertEtag(etag, stored);
      if (fleet.hostFacts(key).connected) {
        throw refusal(
          'HOST_CONNECTED',
          `the agent of host ${key} is connected and would register it again: stop it first`,
        );
      }
      const [relay] = transaction.relays.lookup(BY_HOST_NAME, key);
      if (relay !== undefined) {
        const message = `${relay.name} names host ${key} in spec.hosts.names: change or delete it first`;
        throw refusal('HOST_IN_USE', message, { metadata: { relay: relay.name } });
      }
      transaction.delete('host', key);
      return {};
    };
    return validateOnly ? fleet.store.dryRun(work) : fleet.store.write(work);
  }
}

function validateHost(host: Host): void {
  const violations = new Violations();
  validateDisplayName(host.displayName, 'host.display_name', violations);
  validateLabels(host.labels, 'host.labels', violations);
  validateAnnotations(host.annotations, 'host.annotations', violations);
  if (violations.all.length > 0) throw invalidSpec('the host', violations.all);
}

function sameIntent(a: Host, b: Host): boolean {
  const intent = ({ displayName, labels, annotations }: Host): string =>
    canonicalHash({ displayName, labels, annotations });
  return intent(a) === intent(b);
}

function hostNotFound(key: string): Error {
  const message = `there is no host ${key}: start its agent, or register it with UpdateHost and allow_missing`;
  return refusal('HOST_NOT_FOUND', message, { metadata: { name: hostName(key) } });
}
