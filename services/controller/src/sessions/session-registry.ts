import type { Clock } from '@mcfleet/common/clock';
import { FleetError } from '@mcfleet/common/error';
import type { BidiStream, CallContext } from '@mcfleet/common/grpc/handlers';
import type { Logger } from '@mcfleet/common/log';
import { uuidv7 } from '@mcfleet/common/uuid';
import type { AgentMessage, ControllerMessage, Hello } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { refusal } from '../errors.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { CONTROLLER_STOPPED } from '../fleet/observed.ts';
import { type AgentIdentity, type Duplicate, DuplicateAgents } from './duplicate-agents.ts';
import { PushScheduler } from './push-scheduler.ts';
import { registerHost, validateHello } from './register-host.ts';
import { Session } from './session.ts';
import { RIVAL_WAITS, type SessionOptions } from './session-options.ts';

/** Two milliseconds between batches of counters for each agent: 500 batches a second, however many agents there are. */
const TELEMETRY_MS_PER_AGENT = 2;
/** Agents come back within this time after a controller that stops, not all at once. */
const MAX_RETURN_MS = 2000;

export interface SessionRegistryParts {
  readonly fleet: Fleet;
  readonly options: SessionOptions;
  readonly clock: Clock;
  readonly log: Logger;
}

function identityOf({ instanceUid, startTime }: Hello, peer: string): AgentIdentity {
  return { instanceUid, startMs: startTime?.getTime() ?? 0, peer };
}

/** Without the port, which is another one for each attempt: a condition that says the same is not written again. */
function tell({ peer, startMs }: AgentIdentity): string {
  const address = peer.replace(/:\d+$/, '');
  return startMs === 0 ? address : `${address} (started ${new Date(startMs).toISOString()})`;
}

/** What to say of an agent that comes with state of another cluster; empty if it does not. */
function otherCluster({ clusterUid }: Hello, own: string): string {
  if (clusterUid === '' || clusterUid === own) return '';
  return (
    `the host goes on with what cluster ${clusterUid} told it, and takes nothing from this controller, of cluster ${own}, ` +
    `unless its agent is started with --adopt-cluster ${own}; if it is to stay there, give the agent a controller of that cluster`
  );
}

/** All sessions, at most one per host. */
export class SessionRegistry {
  readonly #parts: SessionRegistryParts;
  readonly #sessions = new Map<string, { readonly session: Session; readonly agent: AgentIdentity }>();
  readonly #duplicates: DuplicateAgents;
  readonly #scheduler: PushScheduler;
  readonly #unsubscribe: () => void;
  #isDraining = false;

  constructor(parts: SessionRegistryParts) {
    this.#parts = parts;
    const { clock, fleet, options } = parts;
    const { debounceMs, maxDebounceMs } = options;
    const push = (host: string): void => this.#sessions.get(host)?.session.planChanged();
    this.#scheduler = new PushScheduler({ clock, debounceMs, maxDebounceMs, push });
    this.#duplicates = new DuplicateAgents({
      clock,
      forgetMs: RIVAL_WAITS * options.rivalRetryMs,
      onChange: (host, duplicate) => this.#noteDuplicate(host, duplicate),
    });
    this.#unsubscribe = fleet.onPlansChanged((hosts) => {
      this.#scheduler.add(hosts);
      for (const host of hosts) {
        if (fleet.store.tables.host.has(host)) fleet.setHostFacts(host, { desiredRevision: fleet.store.revision });
      }
    });
  }

  /** How many agents are connected. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Serves one stream of an agent, from Hello to its end. */
  async connect(stream: BidiStream<AgentMessage, ControllerMessage>, { peer }: CallContext): Promise<void> {
    if (this.#isDraining) throw this.#shuttingDown();
    const { fleet, clock, log, options } = this.#parts;
    const requests = stream.requests[Symbol.asyncIterator]();
    const hello = await this.#readHello(requests);
    validateHello(hello, fleet.store);
    const { host } = hello;
    const agent = identityOf(hello, peer);
    // Before the host takes its labels.
    this.#assertMayConnect(host, agent);
    await registerHost(hello, fleet.store, clock, log);
    if (this.#isDraining) throw this.#shuttingDown();
    const telemetryMs = Math.max(options.telemetryMs, this.#sessions.size * TELEMETRY_MS_PER_AGENT);
    const session = new Session({ id: uuidv7(clock), host, hello, stream, fleet, options, telemetryMs, clock, log });
    this.#sessions
      .get(host)
      ?.session.end(refusal('SESSION_REPLACED', `a newer session of host ${host} took over, from ${peer}`));
    this.#sessions.set(host, { session, agent });
    this.#noteConnected(session, hello);
    let why = 'the agent ended the session';
    try {
      await session.run(requests);
      why = session.farewell || why;
    } catch (thrown) {
      why = FleetError.from(thrown).message;
      throw thrown;
    } finally {
      log.info({ session: session.id, host, peer, why }, 'session ended');
      if (this.#sessions.get(host)?.session === session) {
        this.#sessions.delete(host);
        const disconnectReason = this.#isDraining ? CONTROLLER_STOPPED : why;
        fleet.setHostFacts(host, { connected: false, sessionId: '', disconnectReason });
      }
    }
  }

  /** Refuses new sessions and asks all agents to come back later. */
  drain(): void {
    this.#isDraining = true;
    this.#scheduler.stop();
    this.#unsubscribe();
    this.#duplicates.close();
    for (const { session } of this.#sessions.values()) session.end(this.#shuttingDown());
  }

  async #readHello(requests: AsyncIterator<AgentMessage>): Promise<Hello> {
    const { clock, options } = this.#parts;
    const late = Promise.withResolvers<never>();
    const timer = clock.setTimeout(() => {
      late.reject(refusal('HELLO_TIMEOUT', `no Hello came within ${options.helloTimeoutMs} ms`));
    }, options.helloTimeoutMs);
    const reading = requests.next();
    // Lost races end with the call; what they say then is known.
    reading.catch((err: unknown) => this.#parts.log.trace({ err }, 'stream ended before Hello'));
    try {
      const first = await Promise.race([reading, late.promise]);
      const message = first.done === true ? undefined : first.value;
      if (message?.body?.$case !== 'hello' || message.seq !== 1n) {
        throw refusal('HELLO_REQUIRED', 'the first message of a session is Hello, with seq 1');
      }
      return message.body.value;
    } finally {
      timer.clear();
    }
  }

  /** @throws FleetError DUPLICATE_AGENT if another agent under this name is to keep the session */
  #assertMayConnect(host: string, agent: AgentIdentity): void {
    const present = this.#sessions.get(host);
    if (present === undefined || this.#duplicates.mayTakeOver(host, present.agent, agent)) return;
    const message = `another agent calls itself ${host}, from ${tell(present.agent)}: stop one of them, or give it another --name`;
    throw refusal('DUPLICATE_AGENT', message, { retryDelayMs: this.#parts.options.rivalRetryMs });
  }

  #noteDuplicate(host: string, duplicate: Duplicate | undefined): void {
    const { fleet, log } = this.#parts;
    const before = fleet.hostFacts(host).duplicateAgent?.holds === true;
    if (duplicate === undefined) {
      log.info({ host }, 'only one agent calls itself by this name again');
      fleet.setHostFacts(host, {
        duplicateAgent: { holds: false, message: 'only one agent calls itself by this name' },
      });
      return;
    }
    const { holder, rival } = duplicate;
    if (!before) log.warn({ host, holder: holder.peer, rival: rival.peer }, 'two agents call themselves by one name');
    const message = `two agents call themselves ${host}: that at ${tell(holder)} has the session, that at ${tell(rival)} is turned away. Stop one of them, or give it another --name`;
    fleet.setHostFacts(host, { duplicateAgent: { holds: true, message } });
  }

  #noteConnected({ id, host }: Session, hello: Hello): void {
    const { fleet } = this.#parts;
    fleet.seeHost(host);
    fleet.setHostFacts(host, {
      connected: true,
      sessionId: id,
      disconnectReason: '',
      agentVersion: hello.agentVersion,
      kernel: hello.kernel,
      bootId: hello.bootId,
      capabilities: hello.capabilities,
      interfaces: hello.inventory?.interfaces ?? [],
      health: undefined,
      otherCluster: otherCluster(hello, fleet.store.clusterUid),
    });
  }

  #shuttingDown(): FleetError {
    const retryDelayMs = Math.round(Math.random() * MAX_RETURN_MS);
    return refusal('SHUTTING_DOWN', 'the controller shuts down', { retryDelayMs });
  }
}
