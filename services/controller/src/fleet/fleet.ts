import type { Clock } from '@mcfleet/common/clock';
import type { RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { type InterfaceInput, type InterfaceOutput, Relay, RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import type { PlacedRelay } from '../loops/find-loops.ts';
import { interfaceNetworks, sameNetworks } from '../loops/interface-networks.ts';
import { LoopBook } from '../loops/loop-book.ts';
import type { HostPlan } from '../resolve/place.ts';
import { resolveRelay } from '../resolve/resolve-relay.ts';
import type { Change, FleetStore, Transaction } from '../store/store.ts';
import { Board } from './board.ts';
import { HostBook, type HostFacts } from './host-book.ts';
import { hostView } from './host-view.ts';
import { countersTimeOf, InstanceBook } from './instance-book.ts';
import { type InstanceFacts, instanceView } from './instance-view.ts';
import { factsOf, NOTHING_OBSERVED, type Observed, recordOf } from './observed.ts';
import { keyOf, Placement, selectedHosts } from './placement.ts';
import { relayView } from './relay-view.ts';

/** Called with the hosts that shall run something else than before. Must not throw. */
export type PlanListener = (hosts: ReadonlySet<string>) => void;

/**
 * The fleet as it shall be and as it is: what is stored, where it is placed, and what the hosts say of it. Single writer of all
 * observed state; the API reads its boards, sessions tell it what agents say.
 */
export class Fleet {
  readonly store: FleetStore;
  readonly relays: Board<Relay>;
  readonly hosts: Board<Host>;
  /** By "{host}/{relay}". */
  readonly instances: Board<RelayInstance>;
  readonly #clock: Clock;
  readonly #placement: Placement;
  readonly #loops: LoopBook;
  readonly #instanceBook = new InstanceBook();
  readonly #hostBook = new HostBook();
  readonly #planListeners = new Set<PlanListener>();
  #isLoaded = false;

  /** @param observed what was known when the controller last ran */
  constructor(store: FleetStore, clock: Clock, observed: Observed = NOTHING_OBSERVED) {
    this.store = store;
    this.#clock = clock;
    this.#placement = new Placement(store.tables);
    this.relays = new Board({
      clock,
      compute: (key, previous) => this.#relayView(key, previous),
      fingerprint: (view) => Relay.encode(view).finish(),
    });
    this.hosts = new Board({
      clock,
      compute: (key, previous) => this.#hostView(key, previous),
      fingerprint: (view) => Host.encode(view).finish(),
    });
    this.instances = new Board({
      clock,
      compute: (key, previous) => this.#instanceView(key, previous),
      fingerprint: (view) => RelayInstance.encode(view).finish(),
    });
    this.#restore(observed);
    this.#loops = new LoopBook(
      (key) => this.#placedRelay(key),
      (host, name) => interfaceNetworks(this.#hostBook.get(host).interfaces.find((each) => each.name === name)),
    );
    this.#loops.update(store.tables.relay.sortedKeys());
    // Watches that begin before anybody read an object must still learn of its first change.
    for (const key of store.tables.relay.sortedKeys()) this.relays.refresh(key, observed.relays.get(key));
    for (const key of store.tables.host.sortedKeys()) {
      this.hosts.refresh(key, observed.hosts.get(key));
      for (const relay of this.#placement.relaysOf(key)) {
        const instance = `${key}/${relay}`;
        this.instances.refresh(instance, observed.instances.get(instance));
      }
    }
    this.#isLoaded = true;
    store.onCommit((changes) => this.#committed(changes));
  }

  /** What a host shall run. */
  planOf(host: string): HostPlan {
    return this.#placement.planOf(host);
  }

  /** Hosts that a relay selects. */
  hostsOf(relay: string): ReadonlySet<string> {
    return this.#placement.hostsOf(relay);
  }

  /** Relays that select a host. */
  relaysOf(host: string): ReadonlySet<string> {
    return this.#placement.relaysOf(host);
  }

  /** Facts of a host's session. */
  hostFacts(host: string): HostFacts {
    return this.#hostBook.get(host);
  }

  /** When the agent of a host was last heard of; undefined if it never was, as far as is known. */
  lastSeen(host: string): Date | undefined {
    return this.#hostBook.lastSeen(host);
  }

  /** The agent sent something. */
  seeHost(host: string): void {
    this.#hostBook.see(host, new Date(this.#clock.now()));
  }

  /** Takes in what became known of a host; passed over if the host is not (or no longer) stored. */
  setHostFacts(host: string, facts: Partial<HostFacts>): void {
    if (!this.store.tables.host.has(host)) return;
    const { connected: before, interfaces } = this.#hostBook.get(host);
    this.#hostBook.set(host, facts);
    this.hosts.touch(host);
    if (facts.interfaces !== undefined && !sameNetworks(interfaces, facts.interfaces)) {
      for (const relay of this.#loops.update(this.#placement.relaysOf(host))) this.relays.touch(relay);
    }
    if (facts.connected === undefined || facts.connected === before) return;
    for (const relay of this.#placement.relaysOf(host)) this.#touchInstance(host, relay);
  }

  /** The host said on connecting that it holds a relay. Relays that it shall not run are passed over. */
  noteHeld(host: string, uid: string, generation: bigint): void {
    if (!this.planOf(host).assignments.has(uid)) return;
    this.#instanceBook.noteHeld(host, uid, generation);
    this.#touchByUid(host, uid);
  }

  /** The host said what it makes of a relay. Relays that it shall not run are passed over. */
  noteResult(host: string, result: RelayResult): void {
    const assignment = this.planOf(host).assignments.get(result.uid);
    if (!result.removed && (assignment === undefined || result.generation > assignment.generation)) return;
    this.#instanceBook.noteResult(host, result);
    this.#touchByUid(host, result.uid);
  }

  /** The host sent counters. Relays that it shall not run are passed over. */
  noteCounters(host: string, uid: string, counters: NonNullable<RelayInstance['counters']>, time: Date): void {
    if (this.planOf(host).assignments.has(uid)) this.#instanceBook.noteCounters(host, uid, counters, time);
  }

  /** The host no longer reads the counters of a relay; without `uid`: a new session begins, which tells all that are read. */
  noteUncounted(host: string, uid?: string): void {
    this.#instanceBook.noteUncounted(host, this.#hostBook.get(host).countersTime, uid);
  }

  /** When the counters of an instance were last told. They may have been read again since, and been the same. */
  countersChanged({ host, relayUid }: RelayInstance): Date | undefined {
    return this.#instanceBook.get(keyOf({ name: host }), relayUid)?.countersTime;
  }

  /** The host said what it receives on its interfaces. Passed over if the host is not (or no longer) stored. */
  noteInputs(host: string, inputs: readonly InterfaceInput[]): void {
    if (this.store.tables.host.has(host)) this.#hostBook.noteInputs(host, inputs);
  }

  /** The host said what the interfaces of its outputs lost. Passed over if the host is not (or no longer) stored. */
  noteOutputs(host: string, outputs: readonly InterfaceOutput[]): void {
    if (this.store.tables.host.has(host)) this.#hostBook.noteOutputs(host, outputs);
  }

  /** The last answer of the host for an instance. */
  resultOf({ host, relayUid }: RelayInstance): RelayResult | undefined {
    return this.#instanceBook.get(keyOf({ name: host }), relayUid)?.result;
  }

  /** An instance with its counters; undefined if the relay does not select the host. */
  instance(host: string, relay: string): RelayInstance | undefined {
    const view = this.instances.get(`${host}/${relay}`);
    return view === undefined ? undefined : this.withCounters(view);
  }

  /** What the status of a relay would be if a write that is under way were committed. */
  preview(transaction: Transaction, relay: Relay): Relay {
    const key = keyOf(relay);
    const facts = selectedHosts(relay, transaction.hosts).map((host) => this.#instanceFacts(relay, host));
    const previous = this.relays.peek(key);
    return relayView(relay, facts, this.#loops.loopOf(key), previous, this.#statusTime(relay, previous));
  }

  /** Adds the counters, its own and those of its interfaces, which are no part of the board: they change all the time. */
  withCounters(view: RelayInstance): RelayInstance {
    const host = keyOf({ name: view.host });
    const record = this.#instanceBook.get(host, view.relayUid);
    const { spec } = this.store.tables.relay.get(keyOf({ name: view.relay })) ?? {};
    const input = this.#hostBook.inputs(host).get(spec?.input?.interface ?? '');
    const used = new Set(spec?.outputs.map((output) => output.interface));
    const known = this.#hostBook.outputs(host);
    const outputInterfaces = [...used].sort().flatMap((name) => known.get(name) ?? []);
    const countersTime = countersTimeOf(record, this.#hostBook.get(host).countersTime);
    return { ...view, counters: record?.counters, countersTime, input, outputInterfaces };
  }

  /** Adds when the host was last seen, what its interfaces count and what its workers took, which is no part of the board. */
  withLastSeen(view: Host): Host {
    if (view.status === undefined) return view;
    const host = keyOf(view);
    const inputs = [...this.#hostBook.inputs(host).values()];
    const outputs = [...this.#hostBook.outputs(host).values()];
    const workers = [...this.#hostBook.get(host).workers];
    return { ...view, status: { ...view.status, lastSeenTime: this.lastSeen(host), inputs, outputs, workers } };
  }

  /** Subscribes to changed plans; call the result to stop. */
  onPlansChanged(listener: PlanListener): () => void {
    this.#planListeners.add(listener);
    return () => this.#planListeners.delete(listener);
  }

  /** A host or relay that was deleted, and made again under its name, is another one. */
  #restore({ hosts, instances, results }: Observed): void {
    for (const [host, shown] of hosts) {
      if (this.store.tables.host.get(host)?.uid !== shown.uid) continue;
      this.#hostBook.set(host, factsOf(shown));
      if (shown.status?.lastSeenTime !== undefined) this.#hostBook.see(host, shown.status.lastSeenTime);
    }
    for (const [key, shown] of instances) {
      const host = keyOf({ name: shown.host });
      const record = recordOf(shown, results.get(key));
      if (record === undefined || !this.planOf(host).assignments.has(shown.relayUid)) continue;
      this.#instanceBook.restore(host, shown.relayUid, record);
    }
  }

  #committed(changes: readonly Change[]): void {
    // Instances that may end with this commit: they are no longer found by the placement after it.
    const before = changes.flatMap(({ kind, key }) =>
      kind === 'relay'
        ? [...this.#placement.hostsOf(key)].map((host) => `${host}/${key}`)
        : [...this.#placement.relaysOf(key)].map((relay) => `${key}/${relay}`),
    );
    const relaysBefore = changes.flatMap(({ kind, key }) =>
      kind === 'host' ? [...this.#placement.relaysOf(key)] : [],
    );
    const { hosts, replanned, relays } = this.#placement.update(changes);
    for (const host of hosts) {
      if (this.store.tables.host.has(host)) {
        const plan = this.planOf(host);
        this.#instanceBook.retain(host, plan.assignments);
      } else {
        this.#hostBook.delete(host);
        this.#instanceBook.retain(host, new Set());
      }
      this.hosts.touch(host);
      for (const relay of this.#placement.relaysOf(host)) this.instances.touch(`${host}/${relay}`);
    }
    for (const relay of [...relays, ...relaysBefore]) this.relays.touch(relay);
    const moved = changes.flatMap(({ kind, key }) => (kind === 'relay' ? [key] : [...this.#placement.relaysOf(key)]));
    for (const relay of this.#loops.update([...moved, ...relaysBefore])) this.relays.touch(relay);
    for (const key of before) this.instances.touch(key);
    for (const { kind, key } of changes) (kind === 'relay' ? this.relays : this.hosts).refresh(key);
    if (replanned.size > 0) for (const listener of this.#planListeners) listener(replanned);
  }

  #placedRelay(key: string): PlacedRelay | undefined {
    const relay = this.store.tables.relay.get(key);
    if (relay === undefined) return undefined;
    return { key, relay: resolveRelay(relay).relay, hosts: [...this.#placement.hostsOf(key)].sort() };
  }

  #touchByUid(host: string, uid: string): void {
    const assignment = this.planOf(host).assignments.get(uid);
    if (assignment !== undefined) this.#touchInstance(host, keyOf(assignment));
  }

  #touchInstance(host: string, relay: string): void {
    this.instances.touch(`${host}/${relay}`);
    this.relays.touch(relay);
  }

  #relayView(key: string, previous: Relay | undefined): Relay | undefined {
    const relay = this.store.tables.relay.get(key);
    if (relay === undefined) return undefined;
    const instances = [...this.#placement.hostsOf(key)].map((host) => this.#instanceFacts(relay, host));
    return relayView(relay, instances, this.#loops.loopOf(key), previous, this.#statusTime(relay, previous));
  }

  /** What a write changes of a status changed when it was written: its answer and what is read later say the same. */
  #statusTime({ revision, updateTime }: Relay, previous: Relay | undefined): Date {
    const isWritten = this.#isLoaded && previous?.revision !== revision;
    return (isWritten ? updateTime : undefined) ?? new Date(this.#clock.now());
  }

  #hostView(key: string, previous: Host | undefined): Host | undefined {
    const host = this.store.tables.host.get(key);
    if (host === undefined) return undefined;
    const relays = this.planOf(key).assignments.size;
    return hostView(host, this.#hostBook.get(key), relays, previous, new Date(this.#clock.now()));
  }

  #instanceView(key: string, previous: RelayInstance | undefined): RelayInstance | undefined {
    const [host = '', relayKey = ''] = key.split('/');
    const relay = this.store.tables.relay.get(relayKey);
    if (relay === undefined || !this.#placement.hostsOf(relayKey).has(host)) return undefined;
    const same = previous?.relayUid === relay.uid ? previous : undefined;
    return instanceView(this.#instanceFacts(relay, host), same, new Date(this.#clock.now()));
  }

  #instanceFacts(relay: Relay, host: string): InstanceFacts {
    return {
      relay,
      host,
      connected: this.#hostBook.get(host).connected,
      record: this.#instanceBook.get(host, relay.uid),
      blocked: this.planOf(host).blocked.get(relay.uid),
    };
  }
}
