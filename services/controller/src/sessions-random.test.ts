import { stateHash } from '@mcfleet/common/state-hash';
import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SessionHarness } from './testing/session-harness.ts';
import type { AgentState, TestAgent } from './testing/test-agent.ts';
import { eventually, relay } from './testing/test-controller.ts';

const HOSTS = ['edge-1', 'edge-2'] as const;
const host = fc.constantFrom(...HOSTS);
const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');

/** One thing that happens to a fleet. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      name,
      on: fc.subarray([...HOSTS], { minLength: 1 }),
      port: fc.integer({ min: 6000, max: 6003 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('byLabel' as const),
      name,
      site: fc.constantFrom('x', 'y'),
      port: fc.integer({ min: 6000, max: 6003 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), name }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('label' as const), host, site: fc.constantFrom('x', 'y', 'z') }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('drop' as const), host }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('lose' as const), host }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('connect' as const), host }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.nat(30) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Agents that come, go, and forget, while relays change. */
class Fleet {
  readonly harness = new SessionHarness();
  readonly #agents = new Map<string, TestAgent>();
  readonly #states = new Map<string, AgentState>();

  async start(): Promise<void> {
    await this.harness.start();
    for (const each of HOSTS) {
      await this.harness.label(each, {});
      this.connect(each);
    }
  }

  connect(each: string): void {
    const state = this.#states.get(each);
    const agent = this.harness.connect(state === undefined ? { host: each } : { host: each, state });
    this.#agents.set(each, agent);
    this.#states.set(each, agent.state);
  }

  async take(one: Step): Promise<void> {
    switch (one.kind) {
      case 'put':
        return this.#put({ ...relay(one.name, { hosts: one.on, outputPort: one.port }) });
      case 'byLabel': {
        const subject = relay(one.name, { hosts: [], outputPort: one.port });
        const hosts = { names: [], matchLabels: { site: one.site } };
        return this.#put({ ...subject, spec: subject.spec && { ...subject.spec, hosts } });
      }
      case 'remove':
        await this.harness.remove(one.name);
        return;
      case 'label':
        await this.harness.label(one.host, { site: one.site });
        return;
      case 'lose':
        // A host that was set up anew: another agent, which holds nothing.
        this.#agents.get(one.host)?.drop();
        this.#states.delete(one.host);
        this.connect(one.host);
        return;
      case 'drop':
        this.#agents.get(one.host)?.drop();
        return;
      case 'connect':
        this.#agents.get(one.host)?.drop();
        this.connect(one.host);
        return;
      case 'restart':
        await this.harness.controller.stop();
        await this.harness.controller.start();
        return;
      case 'pause':
        await new Promise((resolve) => setTimeout(resolve, one.ms));
    }
  }

  /** All agents are back; each comes to hold what the relays and labels say, told from the API alone. */
  async settle(): Promise<void> {
    for (const each of HOSTS) {
      this.#agents.get(each)?.drop();
      this.connect(each);
    }
    for (const each of HOSTS) {
      const agent = this.#agents.get(each);
      const expected = await this.#expected(each);
      await eventually(
        () => agent?.relayNames,
        (names) => names?.join() === expected.join(),
      );
      const shown = await eventually(
        () => this.harness.host(each),
        ({ status }) => status?.stateHash.equals(agent?.hash ?? Buffer.alloc(0)) === true,
      );
      expect(shown.status?.relays).toBe(expected.length);
      expect(stateHash(agent?.state.assignments.values() ?? [])).toEqual(shown.status?.stateHash);
      for (const assignment of agent?.state.assignments.values() ?? []) {
        const { generation, uid } = await this.harness.get(assignment.name);
        expect([assignment.uid, assignment.generation]).toEqual([uid, generation]);
      }
    }
  }

  /** Names of the relays that a host shall hold: oldest first, none whose packets another sends to the same output. */
  async #expected(each: string): Promise<string[]> {
    const { labels } = await this.harness.host(each);
    const placed = new Map<number | undefined, string>();
    const relays = await this.harness.list();
    relays.sort((a, b) => (a.uid < b.uid ? -1 : 1));
    for (const { name: relayName, spec } of relays) {
      const isNamed = spec?.hosts?.names.includes(each) === true;
      const { site } = spec?.hosts?.matchLabels ?? {};
      const port = spec?.outputs[0]?.port;
      if ((isNamed || (site !== undefined && labels.site === site)) && !placed.has(port)) placed.set(port, relayName);
    }
    return [...placed.values()].sort();
  }

  /** Creates or replaces a relay; a conflict with another is refused, and no matter here. */
  async #put(subject: Relay): Promise<void> {
    await this.harness.upsert(subject).catch((thrown: { reason: string }) => {
      if (thrown.reason !== 'RELAY_CONFLICT') throw thrown;
    });
  }
}

test('whatever happens, every agent comes to hold exactly what it shall', { timeout: 90_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), async (steps) => {
      const fleet = new Fleet();
      await fleet.start();
      try {
        for (const one of steps) await fleet.take(one);
        await fleet.settle();
      } finally {
        await fleet.harness.dispose();
      }
    }),
    { numRuns: 25, interruptAfterTimeLimit: 60_000 },
  );
});
