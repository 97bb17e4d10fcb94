import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '@mcfleet/common/clock';
import { MAX_ADMIN_MESSAGE_BYTES } from '@mcfleet/common/grpc/limits';
import { GrpcServer } from '@mcfleet/common/grpc/server';
import { type Address, formatAddress } from '@mcfleet/common/listen';
import type { Logger } from '@mcfleet/common/log';
import { uuidv7 } from '@mcfleet/common/uuid';
import { fleetService } from './api/fleet-service.ts';
import { Pages } from './api/pages.ts';
import { relayService } from './api/relay-service.ts';
import { RelayResume } from './api/relay-watch.ts';
import { Tokens } from './api/tokens.ts';
import { Watches } from './api/watch.ts';
import { Fleet } from './fleet/fleet.ts';
import { Keeper } from './fleet/keeper.ts';
import { readObserved } from './fleet/observed.ts';
import { agentService } from './sessions/agent-service.ts';
import { DEFAULT_SESSION_OPTIONS, type SessionOptions } from './sessions/session-options.ts';
import { SessionRegistry } from './sessions/session-registry.ts';
import { SqliteStore } from './store/sqlite-store.ts';

/** Agents have a few messages under way each; a larger one is a defect of the agent. */
const AGENT_MESSAGE_BYTES = 1024 * 1024;
/** One session and a few probes for each connection of an agent. */
const AGENT_STREAMS = 16;
/** How long calls in progress may take when the controller stops. */
const GRACE_MS = 3000;

export interface ControllerParts {
  readonly dataDir: string;
  readonly adminListen: Address;
  readonly agentListen: Address;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly sessions?: Partial<SessionOptions>;
  /** As ControllerOptions.isRestored. Default: false. */
  readonly isRestored?: boolean;
}

/** A controller: store, fleet, sessions and API, on two listeners. */
export class Controller {
  /** Where the admin API listens, with the port that was bound. */
  readonly admin: Address;
  /** Where agents connect, with the port that was bound. */
  readonly agents: Address;
  readonly #dataDir: string;
  readonly #log: Logger;
  readonly #store: SqliteStore;
  readonly #keeper: Keeper;
  readonly #sessions: SessionRegistry;
  readonly #servers: readonly GrpcServer[];

  private constructor(
    parts: ControllerParts,
    store: SqliteStore,
    keeper: Keeper,
    sessions: SessionRegistry,
    bound: readonly { readonly server: GrpcServer; readonly address: Address }[],
  ) {
    const [admin, agents] = bound;
    if (admin === undefined || agents === undefined) throw new Error('a controller has two listeners');
    this.admin = admin.address;
    this.agents = agents.address;
    this.#dataDir = parts.dataDir;
    this.#log = parts.log;
    this.#store = store;
    this.#keeper = keeper;
    this.#sessions = sessions;
    this.#servers = bound.map(({ server }) => server);
  }

  /**
   * Opens the store and serves. Leaves nothing open if it fails.
   *
   * @throws FleetError of the store, or ADDRESS_IN_USE, CANNOT_LISTEN
   */
  static async start(parts: ControllerParts): Promise<Controller> {
    const { log, dataDir, clock = systemClock, isRestored = false } = parts;
    const store = new SqliteStore({ dataDir, log, clock, isRestored });
    const observed = store.observations.all();
    const fleet = new Fleet(store, clock, readObserved(observed, log));
    const keeper = new Keeper({ fleet, save: (writes) => store.observations.save(writes), clock, log }, observed);
    const options = { ...DEFAULT_SESSION_OPTIONS, ...parts.sessions };
    const sessions = new SessionRegistry({ fleet, options, clock, log });
    const tokens = new Tokens(store.tokenKey);
    const pages = new Pages(tokens, clock);
    const watches = new Watches(clock);
    const resume = new RelayResume(fleet, tokens, uuidv7(clock));
    const api = { fleet, pages, watches, resume, clock };
    const admin = new GrpcServer({
      log,
      services: [relayService(api), fleetService(api)],
      maxMessageBytes: MAX_ADMIN_MESSAGE_BYTES,
    });
    const agents = new GrpcServer({
      log,
      services: [agentService(sessions)],
      maxMessageBytes: AGENT_MESSAGE_BYTES,
      maxConcurrentStreams: AGENT_STREAMS,
    });
    try {
      const bound = [
        { server: admin, address: await admin.listen(parts.adminListen) },
        { server: agents, address: await agents.listen(parts.agentListen) },
      ];
      const controller = new Controller(parts, store, keeper, sessions, bound);
      controller.#announce();
      return controller;
    } catch (thrown) {
      await Promise.all([admin, agents].map((server) => server.stop({ graceMs: 0 })));
      keeper.close();
      await store.close();
      throw thrown;
    }
  }

  /** Stops: health first, then agents are told to come back later, calls may finish, the store is closed. */
  async stop(): Promise<void> {
    for (const server of this.#servers) server.setServing(false);
    this.#sessions.drain();
    await Promise.all(this.#servers.map((server) => server.stop({ graceMs: GRACE_MS })));
    this.#keeper.close();
    await this.#store.close();
    rmSync(this.#file, { force: true });
  }

  get #file(): string {
    return join(this.#dataDir, 'controller.json');
  }

  /** Tells programs on this machine where the controller listens; with a full disk it serves all the same. */
  #announce(): void {
    const told = { pid: process.pid, admin: formatAddress(this.admin), agent: formatAddress(this.agents) };
    try {
      // One name for all: on a full disk each start would leave another one behind.
      const draft = `${this.#file}.new`;
      writeFileSync(draft, `${JSON.stringify(told)}\n`);
      renameSync(draft, this.#file);
    } catch (err) {
      this.#log.warn({ err, file: this.#file }, 'cannot write where the controller listens');
    }
    this.#log.info(
      { admin: told.admin, agent: told.agent, data_dir: this.#dataDir, cluster: this.#store.clusterUid },
      'serving',
    );
  }
}
