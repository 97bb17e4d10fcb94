import type { Clock } from '@mcfleet/common/clock';
import { FleetError } from '@mcfleet/common/error';
import type { Logger } from '@mcfleet/common/log';
import { toRpcStatus } from '@mcfleet/common/status-details';
import { uuidv7 } from '@mcfleet/common/uuid';
import {
  ApplyPhase,
  type ConfigStatus,
  type ConfigUpdate,
  type Heartbeat,
  SyncMode,
  type Welcome,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { StatusResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { InstanceState } from '@mcfleet/proto/mcfleet/v1/relay';
import {
  admitController,
  applyUpdate,
  type CompleteUpdate,
  EMPTY_STATE,
  type HeldState,
  hashOf,
} from './cache/held-state.ts';
import { StateStore } from './cache/state-store.ts';
import type { DataplaneClient } from './dataplane/dataplane-client.ts';
import { DataplaneSupervisor } from './dataplane/dataplane-supervisor.ts';
import { otherOptions } from './dataplane/options-in-effect.ts';
import { PacketPath } from './dataplane/packet-path.ts';
import type { DataplaneFault } from './dataplane/respawn.ts';
import type { HostFacts } from './inventory/host-facts.ts';
import { toNetworkInterface } from './inventory/interface-facts.ts';
import { Inventory } from './inventory/inventory.ts';
import type { AgentOptions } from './options.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { updateResults } from './reconcile/update-results.ts';
import { byName } from './resolve/local-interfaces.ts';
import { ControllerSession } from './session/controller-session.ts';
import { type AgentIdentity, makeHello } from './session/hello.ts';
import { LossWatch } from './session/loss-watch.ts';
import {
  type HostTelemetry,
  inputTelemetry,
  losingInterfaces,
  outputTelemetry,
  relayTelemetry,
} from './session/telemetry.ts';
import { sleep } from './sleep.ts';

/** A session is opened after this time even if there is no data plane yet: the controller shall know that. */
const DATAPLANE_WAIT_MS = 2_000;
/** An update is acknowledged after this time even if the disk has not taken it yet. */
const DISK_WAIT_MS = 2_000;

export interface AgentParts extends AgentOptions {
  /** The program that starts the data plane. */
  readonly launcher: string;
  readonly version: string;
  readonly hostFacts: HostFacts;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The agent of one host. It owns the held state (single writer) and ties the parts together: desired state comes down from the
 * session, goes to disk and to the reconciler; facts of the host go to the reconciler; what came of it goes up by the session.
 */
export class Agent {
  readonly #parts: AgentParts;
  readonly #identity: AgentIdentity;
  readonly #store: StateStore;
  readonly #inventory: Inventory;
  readonly #reconciler: Reconciler;
  readonly #supervisor: DataplaneSupervisor;
  readonly #path: PacketPath;
  readonly #session: ControllerSession;
  readonly #firstDataplane = new AbortController();
  readonly #losses = new LossWatch();
  #held: HeldState = EMPTY_STATE;
  #client: DataplaneClient | undefined;
  #capabilities: string[] = [];
  #fault: DataplaneFault | undefined = { reason: 'Starting', message: 'the data plane is being started' };
  #trouble = '';
  /** Relays that changed while an update is being carried out: its answer tells them, if they are its own. */
  #changedInUpdate: Set<string> | undefined;

  constructor(parts: AgentParts) {
    const { clock, log } = parts;
    this.#parts = parts;
    const { name, version, hostFacts, labels } = parts;
    this.#identity = { name, version, hostFacts, labels, instanceUid: uuidv7(clock), startTime: new Date(clock.now()) };
    this.#store = new StateStore({
      directory: parts.stateDir,
      clock,
      log,
      onHealth: () => this.#session.reportHealth(),
    });
    this.#reconciler = new Reconciler({
      clock,
      log,
      onResults: (changed) => this.#relaysChanged(changed.map(({ uid }) => uid)),
      onTrouble: (message) => {
        const cure = `if that lasts, end its process ${this.#supervisor.pid ?? ''}: the agent starts another one`;
        this.#trouble = message === '' ? '' : `${message}; ${cure}`;
        this.#session.reportHealth();
      },
    });
    this.#path = new PacketPath(clock, () => this.#session.reportHealth());
    this.#inventory = new Inventory({
      clock,
      log,
      onInterfaces: (interfaces) => void this.#reconciler.setInterfaces(byName(interfaces)),
      onReport: () => this.#session.reportInventory(),
    });
    this.#supervisor = new DataplaneSupervisor({
      socketPath: parts.dataplaneSocket,
      launcher: parts.launcher,
      arguments: parts.dataplane.arguments,
      clock,
      log,
      onUp: (client, facts) => this.#dataplaneUp(client, facts),
      onDown: (fault) => this.#dataplaneDown(fault),
    });
    this.#session = new ControllerSession({
      controllers: parts.controllers,
      clock,
      log,
      handler: {
        hello: () =>
          makeHello({
            identity: this.#identity,
            held: this.#held,
            capabilities: this.#capabilities,
            interfaces: this.#inventory.interfaces,
          }),
        welcome: (welcome) => this.#welcome(welcome),
        update: (update, clusterUid) => this.#update(update, clusterUid),
        refuse: (update, error) => this.#refusal(update, error),
        telemetry: () => this.#telemetry(),
        heartbeat: () => this.#heartbeat(),
        inventory: () => ({ interfaces: this.#inventory.interfaces.map(toNetworkInterface) }),
        result: (uid) => this.#reconciler.results.get(uid),
      },
    });
  }

  /** Forwards from the last good state, then looks for a controller. Resolves when the first of both was tried. */
  async start(): Promise<void> {
    const { clock, log, name } = this.#parts;
    const began = clock.monotonic();
    // Both the data plane and the disk take their time; neither waits for the other.
    this.#supervisor.start();
    this.#held = await this.#store.load();
    void this.#reconciler.setInterfaces(byName(this.#inventory.interfaces));
    void this.#reconciler.setAssignments(this.#held.assignments, this.#held.revision > 0n);
    void this.#reconciler.begin();
    this.#inventory.start();
    await sleep(clock, DATAPLANE_WAIT_MS, this.#firstDataplane.signal);
    await this.#reconciler.reconcile();
    this.#session.start();
    log.info(
      {
        host: name,
        relays: this.#held.assignments.size,
        revision: this.#held.revision.toString(),
        cluster: this.#held.clusterUid,
        dataplane_pid: this.#supervisor.pid,
        ms: Math.round(clock.monotonic() - began),
      },
      'agent is ready',
    );
  }

  /** Ends the session and everything of this process. The data plane goes on forwarding. */
  async stop(): Promise<void> {
    await this.#session.stop('the agent stops');
    this.#inventory.close();
    await this.#reconciler.close();
    await this.#supervisor.stop();
    await this.#store.close();
  }

  #dataplaneUp(client: DataplaneClient, facts: StatusResponse): void {
    this.#client = client;
    this.#capabilities = facts.capabilities;
    const told = this.#withOwnConditions(facts);
    for (const { reason, message } of told.conditions) this.#parts.log.warn({ reason }, message);
    this.#path.take(told);
    this.#fault = undefined;
    void this.#reconciler
      .setDataplane({ running: true, client, capabilities: new Set(facts.capabilities) })
      .then(() => this.#firstDataplane.abort());
    this.#session.reportHealth();
  }

  /** The status of a data plane with what its agent knows of it. */
  #withOwnConditions(facts: StatusResponse): StatusResponse {
    const { options, mrouteTable } = this.#parts.dataplane;
    const other = otherOptions({ ...options, mrouteTable }, facts);
    return other === undefined ? facts : { ...facts, conditions: [...facts.conditions, other] };
  }

  #dataplaneDown(fault: DataplaneFault): void {
    this.#client = undefined;
    this.#fault = fault;
    this.#path.take();
    void this.#reconciler
      .setDataplane({ running: false, message: fault.message })
      .then(() => this.#firstDataplane.abort());
    this.#session.reportHealth();
  }

  #relaysChanged(uids: readonly string[]): void {
    if (this.#changedInUpdate === undefined) this.#session.reportRelays(uids);
    else for (const uid of uids) this.#changedInUpdate.add(uid);
  }

  #welcome(welcome: Welcome): void {
    const admitted = admitController(this.#held, welcome.clusterUid, welcome.term, this.#parts.adoptCluster);
    if (admitted !== this.#held) {
      this.#held = admitted;
      void this.#store.save(admitted);
    }
    if (this.#held.clusterUid !== welcome.clusterUid) {
      this.#parts.log.warn(
        { held: this.#held.clusterUid, met: welcome.clusterUid },
        'adopting another cluster, as told; its snapshot will replace what this host forwards',
      );
    }
    // Nothing follows: what is held, be it nothing at all, is all there is.
    if (welcome.sync === SyncMode.UP_TO_DATE) void this.#reconciler.setAssignments(this.#held.assignments, true);
    // Whatever the controller knew of the relays may be from before its restart.
    this.#session.reportRelays(this.#held.assignments.keys());
  }

  async #update(update: CompleteUpdate, clusterUid: string): Promise<ConfigStatus> {
    const before = this.#held;
    let next: HeldState;
    try {
      next = applyUpdate(before, clusterUid, update);
    } catch (thrown) {
      return this.#refusal(update, FleetError.from(thrown));
    }
    this.#held = next;
    const saved = this.#store.save(next);
    const changed = new Set<string>();
    this.#changedInUpdate = changed;
    await this.#reconciler.setAssignments(next.assignments, true);
    const patience = new AbortController();
    void saved.then(() => patience.abort());
    await sleep(this.#parts.clock, DISK_WAIT_MS, patience.signal);
    this.#changedInUpdate = undefined;
    const results = updateResults(update, before, next, this.#reconciler.results);
    for (const { uid } of results) changed.delete(uid);
    this.#session.reportRelays(changed);
    const refused = results.some(({ state }) => state === InstanceState.FAILED);
    this.#parts.log.info(
      { revision: update.revision.toString(), upserts: update.upserts.length, relays: next.assignments.size, refused },
      'took an update',
    );
    return {
      nonce: update.nonce,
      revision: update.revision,
      phase: refused ? ApplyPhase.PARTIAL : ApplyPhase.APPLIED,
      stateHash: hashOf(next),
      results,
      error: undefined,
    };
  }

  #refusal(update: Pick<ConfigUpdate, 'nonce' | 'revision'>, error: FleetError): ConfigStatus {
    this.#parts.log.error(
      { revision: update.revision.toString(), reason: error.reason, detail: error.message },
      'refused an update; the state before stays in force',
    );
    return {
      nonce: update.nonce,
      revision: update.revision,
      phase: ApplyPhase.REJECTED,
      stateHash: hashOf(this.#held),
      results: [],
      error: toRpcStatus(error),
    };
  }

  #heartbeat(): Omit<Heartbeat, 'countersTimeUnixNano'> {
    const fault =
      this.#fault ?? (this.#trouble === '' ? undefined : { reason: 'NotAnswering', message: this.#trouble });
    return {
      timeUnixNano: BigInt(Math.round(this.#parts.clock.now())) * 1_000_000n,
      appliedRevision: this.#held.revision,
      stateHash: hashOf(this.#held),
      dataplaneHealthy: fault === undefined,
      dataplaneMessage: fault?.message ?? '',
      dataplaneReason: fault?.reason ?? '',
      storageMessage: this.#store.failure,
      ...this.#path.facts,
    };
  }

  async #telemetry(): Promise<HostTelemetry | undefined> {
    const client = this.#client;
    if (client === undefined) return undefined;
    try {
      const snapshot = await client.snapshot();
      await this.#path.refresh(async () => this.#withOwnConditions(await client.status()));
      if (client !== this.#client) return undefined;
      this.#reconciler.observe(snapshot);
      const losses = this.#losses;
      const now = this.#parts.clock.now();
      losses.begin(new Date(now));
      const names = new Map(this.#inventory.interfaces.map(({ index, name }) => [index, name]));
      const outputs = outputTelemetry(names, snapshot, losses);
      const losing = losingInterfaces(names, outputs, now);
      return {
        relays: relayTelemetry(this.#reconciler.plans(), snapshot, losses, losing),
        inputs: inputTelemetry(names, snapshot, losses),
        outputs,
      };
    } catch (thrown) {
      // The supervisor sees a data plane that died, the reconciler one that does not answer; both tell it.
      this.#parts.log.debug({ err: thrown }, 'cannot read counters');
      return undefined;
    }
  }
}
