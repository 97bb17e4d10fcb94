import { callUnary } from '@mcfleet/common/grpc/client';
import type { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay, type RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { expect } from 'vitest';
import type { SessionOptions } from '../sessions/session-options.ts';
import { TestAgent, type TestAgentOptions } from './test-agent.ts';
import { defined, TestController } from './test-controller.ts';

/** Milliseconds for every call of a test. */
export const TIMEOUT = { timeoutMs: 30_000 };

/**
 * A controller that tries again soon, the agents that connect to it, and the calls that tests make. Its time limits are the real ones:
 * a test that waits for one of them shortens it, and no busy machine runs into the others.
 */
export class SessionHarness {
  readonly controller: TestController;
  readonly #agents: TestAgent[] = [];

  constructor(sessions: Partial<SessionOptions> = {}) {
    this.controller = new TestController({ retryMs: 20, maxRetryMs: 40, ...sessions });
  }

  async start(): Promise<this> {
    await this.controller.start();
    return this;
  }

  /** Ends everything, and looks whether the controller kept the rules towards every agent. */
  async dispose(): Promise<void> {
    for (const agent of this.#agents) {
      agent.drop();
      expect(agent.violations).toEqual([]);
    }
    await this.controller.dispose();
  }

  /** An agent, of host edge-1 if nothing else is said. */
  readonly connect = (options: Partial<TestAgentOptions> = {}): TestAgent => {
    const agent = new TestAgent({ host: 'edge-1', controller: this.controller.agents, ...options });
    this.#agents.push(agent);
    return agent;
  };

  readonly create = (relay: Relay): Promise<Relay> =>
    callUnary(
      this.controller.relays,
      'createRelay',
      { relayId: '', relay, requestId: '', validateOnly: false },
      TIMEOUT,
    );

  readonly update = (relay: Partial<Relay>, updateMask?: string[]): Promise<Relay> => {
    const request = {
      relay: { ...Relay.fromPartial({}), ...relay },
      updateMask,
      allowMissing: false,
      requestId: '',
      validateOnly: false,
    };
    return callUnary(this.controller.relays, 'updateRelay', request, TIMEOUT);
  };

  /** Creates a relay, or replaces all of it. */
  readonly upsert = (relay: Relay): Promise<Relay> => {
    const request = { relay, updateMask: ['*'], allowMissing: true, requestId: '', validateOnly: false };
    return callUnary(this.controller.relays, 'updateRelay', request, TIMEOUT);
  };

  readonly list = async (): Promise<Relay[]> => {
    const request = { pageSize: 1000, pageToken: '', labelSelector: {} };
    return (await callUnary(this.controller.relays, 'listRelays', request, TIMEOUT)).relays;
  };

  readonly remove = (name: string): Promise<object> => {
    const request = { name, etag: '', requestId: '', validateOnly: false, allowMissing: true };
    return callUnary(this.controller.relays, 'deleteRelay', request, TIMEOUT);
  };

  readonly get = (name: string): Promise<Relay> => callUnary(this.controller.relays, 'getRelay', { name }, TIMEOUT);

  readonly instance = async (parent = 'relays/a'): Promise<RelayInstance> => {
    const request = { parent, pageSize: 0, pageToken: '' };
    const { relayInstances } = await callUnary(this.controller.relays, 'listRelayInstances', request, TIMEOUT);
    return defined(relayInstances[0]);
  };

  readonly host = (name = 'edge-1'): Promise<Host> => callUnary(this.controller.fleet, 'getHost', { name }, TIMEOUT);

  readonly removeHost = (name: string): Promise<object> =>
    callUnary(this.controller.fleet, 'deleteHost', { name, etag: '', validateOnly: false }, TIMEOUT);

  /** Sets the labels of a host, and makes the host known if it is not. */
  readonly label = (name: string, labels: Record<string, string>): Promise<Host> => {
    const host = Host.fromPartial({ name, labels });
    const request = { host, updateMask: ['labels'], allowMissing: true, validateOnly: false };
    return callUnary(this.controller.fleet, 'updateHost', request, TIMEOUT);
  };
}

/** Status and reason of a condition. */
export function condition({ conditions }: Pick<RelayInstance, 'conditions'>, type: string): [ConditionStatus, string] {
  const found = defined(conditions.find((each) => each.type === type));
  return [found.status, found.reason];
}
