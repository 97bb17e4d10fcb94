import { status } from '@grpc/grpc-js';
import { toDuration } from '@mcfleet/common/duration';
import { FleetError } from '@mcfleet/common/error';
import { type BidiStream, bidiStream } from '@mcfleet/common/grpc/handlers';
import { GrpcServer } from '@mcfleet/common/grpc/server';
import { createLogger } from '@mcfleet/common/log';
import { contentHash, stateHash } from '@mcfleet/common/state-hash';
import {
  type AgentMessage,
  AgentServiceService,
  ConfigUpdate,
  type ControllerMessage,
  type Hello,
  RelayAssignment,
  ResolvedRelay,
  SyncMode,
  Welcome,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';

type Body = NonNullable<AgentMessage['body']>;
type BodyOf<Case extends Body['$case']> = Extract<Body, { $case: Case }>['value'];

/** A controller of which a test decides every message: a real gRPC server on a unix socket, reached from every namespace. */
export class ScriptedController {
  readonly #path: string;
  #server: GrpcServer | undefined;
  readonly #waiting: ((session: ScriptedSession) => void)[] = [];
  readonly #sessions: ScriptedSession[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** As `mcfleet agent --controller` takes it. */
  get address(): string {
    return `unix:${this.#path}`;
  }

  async start(): Promise<void> {
    const connect = bidiStream<AgentMessage, ControllerMessage>(async (_context, stream) => {
      const session = await ScriptedSession.greet(stream);
      const waiter = this.#waiting.shift();
      if (waiter === undefined) this.#sessions.push(session);
      else waiter(session);
      await session.serve();
    });
    this.#server = new GrpcServer({
      log: createLogger({ component: 'scripted-controller', level: 'silent' }),
      services: [{ definition: AgentServiceService, implementation: { connect } }],
    });
    await this.#server.listen({ kind: 'unix', path: this.#path });
  }

  /** The next session that an agent opens, or has opened since. */
  session(timeoutMs = 60_000): Promise<ScriptedSession> {
    const ready = this.#sessions.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    const { promise, resolve, reject } = Promise.withResolvers<ScriptedSession>();
    const timer = setTimeout(() => reject(new Error(`no session within ${timeoutMs} ms`)), timeoutMs);
    this.#waiting.push(resolve);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Cuts every session at once, as a controller that was killed. */
  async stop(): Promise<void> {
    await this.#server?.stop({ graceMs: 0 });
    this.#server = undefined;
  }
}

/** One session, as the controller sees it. */
export class ScriptedSession {
  readonly hello: Hello;
  readonly received: Body[] = [];
  readonly #stream: BidiStream<AgentMessage, ControllerMessage>;
  readonly #requests: AsyncIterator<AgentMessage>;
  readonly #over = Promise.withResolvers<void>();
  #seq = 0n;
  #nonce = 0n;
  #changed = Promise.withResolvers<void>();
  #ended = false;

  private constructor(
    hello: Hello,
    stream: BidiStream<AgentMessage, ControllerMessage>,
    requests: AsyncIterator<AgentMessage>,
  ) {
    this.hello = hello;
    this.#stream = stream;
    this.#requests = requests;
  }

  static async greet(stream: BidiStream<AgentMessage, ControllerMessage>): Promise<ScriptedSession> {
    const requests = stream.requests[Symbol.asyncIterator]();
    const first = await requests.next();
    const body = first.done === true ? undefined : first.value.body;
    if (body?.$case !== 'hello') throw new Error(`the first message was ${body?.$case}`);
    return new ScriptedSession(body.value, stream, requests);
  }

  async serve(): Promise<void> {
    const reading = this.#read();
    await Promise.race([reading, this.#over.promise]);
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const next = await this.#requests.next();
        if (next.done === true) break;
        if (next.value.body !== undefined) this.received.push(next.value.body);
        this.#wake();
      }
    } finally {
      this.#ended = true;
      this.#wake();
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** Whether the agent has ended it. */
  get ended(): boolean {
    return this.#ended;
  }

  async send(body: NonNullable<ControllerMessage['body']>): Promise<void> {
    this.#seq += 1n;
    await this.#stream.write({ seq: this.#seq, ackSeq: 0n, body });
  }

  async welcome(fields: Partial<Welcome> = {}): Promise<void> {
    const value = Welcome.fromPartial({
      sessionId: 's',
      clusterUid: 'c1',
      term: 1n,
      protocol: 1,
      sync: SyncMode.SNAPSHOT,
      heartbeatInterval: toDuration(200),
      telemetryInterval: toDuration(100),
      ...fields,
    });
    await this.send({ $case: 'welcome', value });
  }

  /** Sends everything that the host shall have, in chunks of one relay each. @returns the answer. */
  async snapshot(
    relays: readonly RelayAssignment[],
    fields: { revision: bigint; term?: bigint },
  ): Promise<BodyOf<'configStatus'>> {
    const chunks = snapshotChunks(relays, { term: 1n, ...fields, nonce: ++this.#nonce });
    for (const value of chunks) await this.send({ $case: 'configUpdate', value });
    return this.waitFor('configStatus', ({ nonce }) => nonce === this.#nonce);
  }

  /** The first message of a kind that is as wanted, of those that came or are to come. */
  async waitFor<Case extends Body['$case']>(
    kind: Case,
    isWanted: (value: BodyOf<Case>) => boolean = () => true,
    timeoutMs = 60_000,
  ): Promise<BodyOf<Case>> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const found = this.received.find((body) => body.$case === kind && isWanted(body.value as BodyOf<Case>));
      if (found !== undefined) return found.value as BodyOf<Case>;
      const left = end - performance.now();
      if (left <= 0) {
        const seen = this.received.map(({ $case }) => $case).join(' ');
        throw new Error(`no such ${kind} within ${timeoutMs} ms; received: ${seen.slice(-500)}`);
      }
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, left);
      });
      await Promise.race([this.#changed.promise, late]);
      clearTimeout(timer);
    }
  }

  /** Ends the session as a server does. */
  end(): void {
    this.#over.resolve();
  }
}

export function snapshotChunks(
  relays: readonly RelayAssignment[],
  fields: { nonce: bigint; term: bigint; revision: bigint },
): ConfigUpdate[] {
  const count = Math.max(1, relays.length);
  return Array.from({ length: count }, (_, chunk) =>
    ConfigUpdate.fromPartial({
      ...fields,
      baseRevision: 0n,
      chunk,
      lastChunk: chunk === count - 1,
      upserts: relays.slice(chunk, chunk + 1),
      targetStateHash: stateHash(relays),
    }),
  );
}

/** What matters of a ResolvedRelay; the rest is omitted, as in a spec. */
export interface RelaySketch {
  engine: RelayEngine;
  input: { interface: string; group: string; port?: number };
  outputs: { interface: string; address: string; port?: number; source?: string }[];
}

/** An assignment as a controller makes it. */
export function assignment(uid: string, relay: RelaySketch, generation = 1n): RelayAssignment {
  const resolved = ResolvedRelay.fromPartial(relay);
  return RelayAssignment.fromPartial({
    uid,
    name: `relays/${uid}`,
    generation,
    contentHash: contentHash(ResolvedRelay.encode(resolved).finish()),
    relay: resolved,
  });
}

/** The error of a controller that is busy. */
export function busy(retryDelayMs: number): FleetError {
  return new FleetError({
    code: status.RESOURCE_EXHAUSTED,
    reason: 'BUSY',
    message: 'too many sessions',
    retryDelayMs,
  });
}
