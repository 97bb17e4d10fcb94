import type { Clock } from '@mcfleet/common/clock';
import { type CallContext, type ResponseStream, serverStream, unary } from '@mcfleet/common/grpc/handlers';
import type { ServiceRegistration } from '@mcfleet/common/grpc/server';
import { relayName } from '@mcfleet/common/names';
import { quote } from '@mcfleet/common/quote';
import { Empty } from '@mcfleet/proto/google/protobuf/empty';
import { ChangeType } from '@mcfleet/proto/mcfleet/v1/common';
import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import {
  ApplyRelaysRequest,
  ApplyRelaysResponse,
  CreateRelayRequest,
  DeleteRelayRequest,
  type GetRelayRequest,
  type ListRelaysRequest,
  type ListRelaysResponse,
  RelayServiceService,
  UpdateRelayRequest,
  type WatchRelaysRequest,
  type WatchRelaysResponse,
} from '@mcfleet/proto/mcfleet/v1/relay_service';
import { refusal } from '../errors.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { keyOf } from '../fleet/placement.ts';
import { matchesLabels } from '../resolve/selector.ts';
import type { Transaction } from '../store/store.ts';
import { Violations } from '../validate/violations.ts';
import { applyRelays } from './apply-relays.ts';
import { runWrite } from './idempotency.ts';
import { InstanceMethods } from './instance-methods.ts';
import { cutPage, type Pages } from './pages.ts';
import { RelayResume } from './relay-watch.ts';
import { assertEtag, assertNoEtag, putRelay, RELAY_MASK, relayNotFound, relayViolations } from './relay-writes.ts';
import { assertValid, invalidRequest, invalidSpec, relayKey, validateSelector } from './requests.ts';
import { applyMask } from './update-mask.ts';
import type { SentEvent, Watches } from './watch.ts';

export interface RelayServiceParts {
  readonly fleet: Fleet;
  readonly pages: Pages;
  readonly watches: Watches;
  readonly resume: RelayResume;
  readonly clock: Clock;
}

/** RelayService, for the admin listener. */
export function relayService(parts: RelayServiceParts): ServiceRegistration {
  const methods = new RelayMethods(parts);
  const instances = new InstanceMethods(parts);
  const implementation = {
    createRelay: unary((request: CreateRelayRequest) => methods.create(request)),
    getRelay: unary((request: GetRelayRequest) => methods.get(request)),
    listRelays: unary((request: ListRelaysRequest) => methods.list(request)),
    updateRelay: unary((request: UpdateRelayRequest) => methods.update(request)),
    deleteRelay: unary((request: DeleteRelayRequest) => methods.delete(request)),
    applyRelays: unary((request: ApplyRelaysRequest) => methods.apply(request)),
    watchRelays: serverStream((request: WatchRelaysRequest, context, responses: ResponseStream<WatchRelaysResponse>) =>
      methods.watch(request, context, responses),
    ),
    ...instances.handlers(),
  } satisfies Record<keyof typeof RelayServiceService, unknown>;
  return { definition: RelayServiceService, implementation };
}

class RelayMethods {
  readonly #parts: RelayServiceParts;

  constructor(parts: RelayServiceParts) {
    this.#parts = parts;
  }

  async create(request: CreateRelayRequest): Promise<Relay> {
    const { relay = Relay.fromPartial({}), relayId, requestId, validateOnly } = request;
    const named = relay.name.startsWith('relays/') ? keyOf(relay) : relay.name;
    const id = relayId === '' ? named : relayId;
    if (relayId !== '' && named !== '' && relayId !== named) {
      throw invalidRequest([
        { field: 'relay_id', description: `is ${quote(relayId)}, but relay.name is ${quote(relay.name)}` },
      ]);
    }
    const idPath = relayId === '' ? 'relay.name' : 'relay_id';
    const call = {
      method: 'CreateRelay',
      requestId,
      validateOnly,
      requestJson: CreateRelayRequest.toJSON(request),
      response: Relay,
    };
    return runWrite(this.#parts.fleet.store, call, (transaction) => {
      this.#assertValidRelay(transaction, relay, id, idPath);
      if (transaction.relays.has(id)) {
        const message = `there is a relay ${id} already: update it, or choose another name`;
        throw refusal('RELAY_EXISTS', message, { metadata: { name: relayName(id) } });
      }
      return this.#put(transaction, id, undefined, relay);
    });
  }

  async get({ name }: GetRelayRequest): Promise<Relay> {
    const key = relayKey(name, 'name');
    const relay = this.#parts.fleet.relays.get(key);
    if (relay === undefined) throw relayNotFound(key);
    return relay;
  }

  async list({ pageSize, pageToken, labelSelector }: ListRelaysRequest): Promise<ListRelaysResponse> {
    validateSelector(labelSelector, 'label_selector');
    const { fleet, pages, resume } = this.#parts;
    const { limit, after, carried } = pages.start('relays', { pageSize, pageToken, filter: labelSelector });
    // A watch that continues from the last page must see what changed since the first.
    const position = after === undefined ? resume.fields() : carried;
    const { relay: table } = fleet.store.tables;
    const matching = table.sortedKeys().filter((key) => matchesLabels(labelSelector, table.get(key)?.labels ?? {}));
    const behind = after === undefined ? matching : matching.filter((key) => key > after);
    const read = (key: string): Relay | undefined => fleet.relays.get(key);
    const { items, lastKey } = cutPage(behind, limit, read, (relay) => Relay.encode(relay).finish().length);
    return {
      relays: [...items],
      nextPageToken: pages.next('relays', lastKey, labelSelector, position),
      totalSize: matching.length,
      revision: fleet.store.revision,
      resumeToken: resume.token(position),
    };
  }

  async update(request: UpdateRelayRequest): Promise<Relay> {
    const { relay, updateMask, allowMissing, requestId, validateOnly } = request;
    if (relay === undefined) throw invalidRequest([{ field: 'relay', description: 'is missing' }]);
    const key = relayKey(relay.name, 'relay.name');
    const call = {
      method: 'UpdateRelay',
      requestId,
      validateOnly,
      requestJson: UpdateRelayRequest.toJSON(request),
      response: Relay,
    };
    return runWrite(this.#parts.fleet.store, call, (transaction) => {
      const stored = transaction.relays.get(key);
      if (stored === undefined && !allowMissing) throw relayNotFound(key);
      if (stored === undefined) assertNoEtag(relay.etag, relayName(key));
      else assertEtag(relay.etag, stored);
      const violations = new Violations();
      // A relay that is created by an update gets everything that is given, whatever the mask says (AIP-134).
      const paths = stored === undefined ? undefined : updateMask;
      const target = stored ?? Relay.fromPartial({});
      const merged = applyMask({ target, source: relay, paths }, RELAY_MASK, violations);
      assertValid(violations);
      const wanted = Relay.fromPartial(merged);
      this.#assertValidRelay(transaction, wanted, key, 'relay.name');
      return this.#put(transaction, key, stored, wanted);
    });
  }

  async delete(request: DeleteRelayRequest): Promise<Empty> {
    const { name, etag, requestId, validateOnly, allowMissing } = request;
    const key = relayKey(name, 'name');
    const call = {
      method: 'DeleteRelay',
      requestId,
      validateOnly,
      requestJson: DeleteRelayRequest.toJSON(request),
      response: Empty,
    };
    return runWrite(this.#parts.fleet.store, call, (transaction) => {
      const stored = transaction.relays.get(key);
      if (stored === undefined && !allowMissing) throw relayNotFound(key);
      if (stored !== undefined) {
        assertEtag(etag, stored);
        transaction.delete('relay', key);
      }
      return {};
    });
  }

  async apply(request: ApplyRelaysRequest): Promise<ApplyRelaysResponse> {
    const { requestId, validateOnly } = request;
    const requestJson = ApplyRelaysRequest.toJSON(request);
    const call = { method: 'ApplyRelays', requestId, validateOnly, requestJson, response: ApplyRelaysResponse };
    return runWrite(this.#parts.fleet.store, call, (transaction) => applyRelays(transaction, request, this.#parts));
  }

  async watch(
    { labelSelector, resumeToken, sendInitial }: WatchRelaysRequest,
    context: CallContext,
    responses: ResponseStream<WatchRelaysResponse>,
  ): Promise<void> {
    validateSelector(labelSelector, 'label_selector');
    if (sendInitial && resumeToken !== '') {
      throw invalidRequest([{ field: 'send_initial', description: 'cannot be set together with resume_token' }]);
    }
    const { fleet, watches, resume } = this.#parts;
    const from = resumeToken === '' ? undefined : resume.fieldsOf(resumeToken);
    // What the watcher knows after a message: what its token continues from.
    let known = from ?? RelayResume.START;
    let subscribedAt = known;
    const watch = {
      board: fleet.relays,
      matches: (relay: Relay) => matchesLabels(labelSelector, relay.labels),
      identify: (relay: Relay) => relay.uid,
      initial: sendInitial ? fleet.store.tables.relay.sortedKeys() : undefined,
      sizeOf: (relay: Relay) => Relay.encode(relay).finish().length,
      subscribed: () => {
        subscribedAt = resume.fields();
        if (from === undefined && !sendInitial) known = subscribedAt;
      },
      send: (events: readonly SentEvent<Relay>[], isSettled: boolean) => {
        if (isSettled) known = resume.fields();
        else if (events[0]?.type === ChangeType.SYNCED) known = subscribedAt;
        return responses.write({
          events: events.map(({ type, view, suppressed }) => ({ type, relay: view, suppressed })),
          resumeToken: resume.token(known),
        });
      },
    };
    await watches.serve(from === undefined ? watch : { ...watch, replay: resume.replay(from) }, context);
  }

  #assertValidRelay(transaction: Transaction, relay: Relay, id: string, idPath: string): void {
    const violations = relayViolations(transaction, relay, { path: 'relay', id, idPath });
    if (violations.length > 0) throw invalidSpec('the relay', violations);
  }

  #put(transaction: Transaction, key: string, stored: Relay | undefined, wanted: Relay): Relay {
    const relay = putRelay(transaction, { key, stored, wanted, managedBy: '' }, this.#parts.clock);
    return this.#parts.fleet.preview(transaction, relay);
  }
}
