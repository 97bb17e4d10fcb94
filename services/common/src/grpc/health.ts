import { status } from '@grpc/grpc-js';
import { type HealthServer, HealthCheckResponse_ServingStatus as Serving } from '@mcfleet/proto/grpc/health/v1/health';
import { FleetError } from '../error.ts';
import { serverStream, unary } from './handlers.ts';

type ServingStatus = typeof Serving.SERVING | typeof Serving.NOT_SERVING | typeof Serving.SERVICE_UNKNOWN;

/** grpc.health.v1.Health for the server as a whole (service "") and for each of its services. */
export class Health {
  readonly #statuses: Map<string, ServingStatus>;
  /** One per open Watch: bounded by the streams that the server admits. */
  readonly #watchers = new Set<() => void>();

  /** @param services full names; they and the server as a whole are not serving at first */
  constructor(services: readonly string[]) {
    this.#statuses = new Map(['', ...services].map((name) => [name, Serving.NOT_SERVING]));
  }

  /** Says of the server and all its services whether they are to be used. */
  setServing(serving: boolean): void {
    for (const name of this.#statuses.keys()) this.setStatus(name, serving);
  }

  /** Says it of one service, or of a name that stands for a part of the program, such as "mcfleet.store". */
  setStatus(name: string, serving: boolean): void {
    this.#statuses.set(name, serving ? Serving.SERVING : Serving.NOT_SERVING);
    for (const notify of this.#watchers) notify();
  }

  readonly implementation: HealthServer = {
    check: unary(async ({ service }) => {
      const found = this.#statuses.get(service);
      if (found === undefined) {
        throw new FleetError({
          code: status.NOT_FOUND,
          reason: 'SERVICE_UNKNOWN',
          message: `there is no service '${service}' here; List tells which there are`,
        });
      }
      return { status: found };
    }),

    list: unary(async () => ({
      statuses: Object.fromEntries([...this.#statuses].map(([name, serving]) => [name, { status: serving }])),
    })),

    watch: serverStream(async ({ service }, { signal }, responses) => {
      let sent: ServingStatus | undefined;
      for (;;) {
        const now = this.#statuses.get(service) ?? Serving.SERVICE_UNKNOWN;
        if (now !== sent) {
          await responses.write({ status: now });
          sent = now;
          continue;
        }
        signal.throwIfAborted();
        await this.#nextChange(signal);
      }
    }),
  };

  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#watchers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#watchers.add(done);
      signal.addEventListener('abort', done);
    });
  }
}
