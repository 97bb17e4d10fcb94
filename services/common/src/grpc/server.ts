import { chmod } from 'node:fs/promises';
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HealthService } from '@mcfleet/proto/grpc/health/v1/health';
import { FleetError } from '../error.ts';
import { type Address, formatAddress } from '../listen.ts';
import type { Logger } from '../log.ts';
import { type CallHost, setCallHost } from './call-context.ts';
import { Health } from './health.ts';
import { REFLECTION_SERVICE_NAMES, reflectionServices } from './reflection.ts';
import { claimSocketPath } from './unix-socket.ts';

// grpc-js would write to stderr, as bare text, what it also reports as an error.
if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);

/** A service of the API and what carries it out. */
export interface ServiceRegistration {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface GrpcServerOptions {
  readonly log: Logger;
  readonly services: readonly ServiceRegistration[];
  /** Bytes of the largest message, both ways. Default: 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Calls at once per connection. Default: 256. */
  readonly maxConcurrentStreams?: number;
}

const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** A gRPC server on one listener, with health and reflection beside its own services. */
export class GrpcServer {
  readonly #server: Server;
  readonly #health: Health;
  readonly #host: CallHost;
  /** As grpc-js names the listener, with the port that was bound. */
  #bound: string | undefined;

  constructor({
    log,
    services,
    maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES,
    maxConcurrentStreams = 256,
  }: GrpcServerOptions) {
    this.#host = { log, openStreams: new Set() };
    this.#server = new Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.max_concurrent_streams': maxConcurrentStreams,
      // Channelz keeps books on every message; nobody reads them here.
      'grpc.enable_channelz': 0,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
    });
    const names = services.map(({ definition }) => serviceName(definition));
    this.#health = new Health(names);
    const own = [...services, { definition: HealthService, implementation: this.#health.implementation }];
    const listed = [...own.map(({ definition }) => serviceName(definition)), ...REFLECTION_SERVICE_NAMES];
    for (const service of [...own, ...reflectionServices(listed.sort())]) this.#addService(service);
  }

  /**
   * Listens, and serves from then on; health says so. Port 0 takes a free one. A unix socket gets mode 0600, and replaces one that
   * a dead process left behind.
   *
   * @returns the address with the port that was bound
   * @throws FleetError FAILED_PRECONDITION, reason ADDRESS_IN_USE or CANNOT_LISTEN
   */
  async listen(
    address: Address,
    credentials: ServerCredentials = ServerCredentials.createInsecure(),
  ): Promise<Address> {
    if (address.kind === 'tcp') {
      const port = await this.#bind(address, credentials);
      this.setServing(true);
      return { ...address, port };
    }
    await claimSocketPath(address.path);
    // Between bind and chmod nobody else may connect either.
    const umask = process.umask(0o177);
    try {
      await this.#bind(address, credentials);
    } finally {
      process.umask(umask);
    }
    await chmod(address.path, 0o600);
    this.setServing(true);
    return address;
  }

  /** What health says of the server and all its services. */
  setServing(serving: boolean): void {
    this.#health.setServing(serving);
  }

  /** What health says of one service, or of a part of the program under a name of its own. */
  setStatus(name: string, serving: boolean): void {
    this.#health.setStatus(name, serving);
  }

  /**
   * Stops: health says so first, streams are asked to end, calls in progress may finish for `graceMs`, then what is left is cut.
   */
  async stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.setServing(false);
    const reason = new FleetError({ code: status.UNAVAILABLE, reason: 'SHUTTING_DOWN', message: 'the server stops' });
    for (const stream of this.#host.openStreams) stream.abort(reason);
    // forceShutdown would cut nothing: grpc-js 1.14 forgets the sessions that it cuts when channelz is off. drain knows them.
    if (this.#bound !== undefined) this.#server.drain(this.#bound, graceMs);
    // The callback's error would say that the server has stopped already.
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
  }

  #addService({ definition, implementation }: ServiceRegistration): void {
    const hosted: UntypedServiceImplementation = {};
    for (const name of Object.keys(definition)) {
      const handle = implementation[name] as ((call: object, respond: unknown) => void) | undefined;
      if (handle === undefined) throw new Error(`${serviceName(definition)} has no implementation of ${name}`);
      hosted[name] = (call: object, respond?: unknown) => {
        setCallHost(call, this.#host);
        handle.call(implementation, call, respond);
      };
    }
    this.#server.addService(definition, hosted);
  }

  #bind(address: Address, credentials: ServerCredentials): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(formatAddress(address), credentials, (error, port) => {
        if (error !== null) {
          reject(cannotListen(address, error));
          return;
        }
        this.#bound = formatAddress(address.kind === 'tcp' ? { ...address, port } : address);
        resolve(port);
      });
    });
  }
}

function serviceName(definition: ServiceDefinition): string {
  const [method] = Object.values(definition);
  if (method === undefined) throw new Error('a service without methods cannot be served');
  return method.path.slice(1, method.path.lastIndexOf('/'));
}

/** grpc-js gives the reason only as text. */
function cannotListen(address: Address, cause: Error): FleetError {
  const where = formatAddress(address);
  if (cause.message.includes('EADDRINUSE')) {
    const message = `cannot listen on ${where}: another process listens there; stop that one or choose another address`;
    return new FleetError({ code: status.FAILED_PRECONDITION, reason: 'ADDRESS_IN_USE', message, cause });
  }
  // "No address added out of total 1 resolved errors: [listen EROFS: read-only file system /run/x.sock]"
  const [, why = cause.message] = /\[listen (.*)\]$/s.exec(cause.message) ?? [];
  const message = `cannot listen on ${where}: ${why}`;
  return new FleetError({ code: status.FAILED_PRECONDITION, reason: 'CANNOT_LISTEN', message, cause });
}
