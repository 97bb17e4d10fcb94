import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '@mcfleet/common/error';
import { createClient } from '@mcfleet/common/grpc/client';
import type { Address } from '@mcfleet/common/listen';
import { createLogger } from '@mcfleet/common/log';
import { FleetServiceClient } from '@mcfleet/proto/mcfleet/v1/fleet_service';
import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { RelayServiceClient } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { expect } from 'vitest';
import { Controller } from '../controller.ts';
import type { SessionOptions } from '../sessions/session-options.ts';

const LOOPBACK = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
const log = createLogger({ component: 'test', level: (process.env.TEST_LOG as 'debug') ?? 'silent' });

/** A controller with real listeners on loopback, and clients of its admin API. */
export class TestController {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'mcfleet-controller-'));
  readonly #sessions: Partial<SessionOptions>;
  #controller: Controller | undefined;
  #clients: { relays: RelayServiceClient; fleet: FleetServiceClient } | undefined;
  #agentPort = 0;

  constructor(sessions: Partial<SessionOptions> = {}) {
    this.#sessions = sessions;
  }

  async start({ isRestored = false } = {}): Promise<this> {
    this.#controller = await Controller.start({
      dataDir: this.dataDir,
      adminListen: LOOPBACK,
      agentListen: { ...LOOPBACK, port: this.#agentPort },
      log,
      isRestored,
      sessions: { debounceMs: 5, ...this.#sessions },
    });
    // After a restart agents find it where it was.
    if (this.#controller.agents.kind === 'tcp') this.#agentPort = this.#controller.agents.port;
    this.#clients = {
      relays: createClient(RelayServiceClient, this.#controller.admin),
      fleet: createClient(FleetServiceClient, this.#controller.admin),
    };
    return this;
  }

  async stop(): Promise<void> {
    this.#clients?.relays.close();
    this.#clients?.fleet.close();
    await this.#controller?.stop();
    this.#controller = undefined;
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.dataDir, { recursive: true });
  }

  get admin(): Address {
    return defined(this.#controller).admin;
  }

  get agents(): Address {
    return defined(this.#controller).agents;
  }

  get relays(): RelayServiceClient {
    return defined(this.#clients).relays;
  }

  get fleet(): FleetServiceClient {
    return defined(this.#clients).fleet;
  }
}

/** The value, which a test knows to be there. */
export function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test expected a value');
  return value;
}

/** A valid relay on host edge-1; `outputPort` tells relays of the same input apart. */
export function relay(name: string, { outputPort = 6001, hosts = ['edge-1'] as string[], labels = {} } = {}): Relay {
  return Relay.fromPartial({
    name,
    labels,
    spec: {
      hosts: { names: hosts },
      input: { interface: 'eth0', group: '239.1.1.1', port: 5001 },
      outputs: [{ interface: 'eth1', address: '239.10.10.10', port: outputPort }],
    },
  });
}

/** The FleetError that a call fails with. */
export async function refused(call: Promise<unknown>): Promise<FleetError> {
  const outcome = await call.then(
    (value) => ({ value }),
    (thrown: unknown) => ({ thrown }),
  );
  if (!('thrown' in outcome))
    expect.fail(
      `expected a refusal, got ${JSON.stringify(outcome.value, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
    );
  return FleetError.from(outcome.thrown);
}

/** Waits until a condition holds, for at most 20 seconds: a busy machine takes its time. */
export async function eventually<T>(probe: () => T | Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const value = await probe();
    if (holds(value)) return value;
    if (Date.now() > deadline) {
      const text = JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}` : v), 1);
      expect.fail(`did not come to hold within 20 s; last: ${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
