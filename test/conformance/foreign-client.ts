import { fileURLToPath } from 'node:url';
import { type Client, credentials, loadPackageDefinition, Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const protoDirectory = fileURLToPath(new URL('../../proto', import.meta.url));

/** A message as @grpc/proto-loader gives it: 64-bit numbers and enums as strings, only what is set. */
export type Message = { readonly [field: string]: unknown };

type UnaryMethod = (
  request: object,
  metadata: Metadata,
  options: { readonly deadline: number },
  callback: (error: ServiceError | null, response: Message) => void,
) => void;
type StreamMethod = (
  request: object,
) => AsyncIterable<Message> & { cancel(): void; on(event: 'error', listener: () => void): void };

/** A client as any program in any language could be one: made from the .proto files alone, without a line of our code. */
export class ForeignClient implements Disposable {
  readonly #client: Client & Record<string, UnaryMethod | StreamMethod>;

  /** @param service name within mcfleet.v1: "RelayService" */
  constructor(service: string, address: string) {
    const definition = loadSync(['mcfleet/v1/relay_service.proto', 'mcfleet/v1/fleet_service.proto'], {
      includeDirs: [protoDirectory, `${protoDirectory}/third_party`],
      keepCase: true,
      longs: String,
      enums: String,
    });
    // biome-ignore lint/suspicious/noExplicitAny: grpc-js types what it loads at run time loosely
    const { mcfleet } = loadPackageDefinition(definition) as any;
    this.#client = new mcfleet.v1[service](address, credentials.createInsecure());
  }

  /** Calls a unary method; rejects with the ServiceError of grpc-js. */
  call(method: string, request: object): Promise<Message> {
    return new Promise((resolve, reject) => {
      const invoke = this.#method(method) as UnaryMethod;
      invoke.call(this.#client, request, new Metadata(), { deadline: Date.now() + 10_000 }, (error, response) => {
        if (error === null) resolve(response);
        else reject(error);
      });
    });
  }

  /** Reads a stream until `isLast` says so; fails after 10 s. */
  async read(method: string, request: object, isLast: (message: Message) => boolean): Promise<Message[]> {
    const stream = (this.#method(method) as StreamMethod).call(this.#client, request);
    const messages: Message[] = [];
    const timer = setTimeout(() => stream.cancel(), 10_000);
    try {
      for await (const message of stream) {
        messages.push(message);
        if (isLast(message)) return messages;
      }
      throw new Error(`${method} ended after ${messages.length} messages`);
    } finally {
      clearTimeout(timer);
      stream.on('error', () => undefined);
      stream.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #method(name: string): UnaryMethod | StreamMethod {
    const method = this.#client[name];
    if (method === undefined) throw new Error(`the .proto files have no method ${name}`);
    return method;
  }
}

/** Text that grpc-status-details-bin carries: a foreign client may search it for a reason without knowing google.rpc. */
export function detailsOf(error: unknown): string {
  const [details] = (error as ServiceError).metadata.get('grpc-status-details-bin');
  return Buffer.isBuffer(details) ? details.toString('latin1') : '';
}
