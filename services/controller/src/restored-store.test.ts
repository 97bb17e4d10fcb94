/** A store that is older than what hosts have carried out: restored from a copy, or short of its last writes. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SessionHarness } from './testing/session-harness.ts';
import { eventually, relay } from './testing/test-controller.ts';

let harness: SessionHarness;

beforeEach(async () => {
  harness = await new SessionHarness().start();
});

afterEach(async () => {
  await harness.dispose();
});

test('is refused by the hosts, which go on, until the controller is told that it was restored', async () => {
  const { controller } = harness;
  const store = join(controller.dataDir, 'store.db');
  const copy = join(controller.dataDir, 'copy.db');
  await harness.label('edge-1', {});
  await harness.create(relay('a'));
  await controller.stop();
  copyFileSync(store, copy);
  await controller.start();

  const agent = harness.connect();
  await harness.create(relay('b', { outputPort: 6002 }));
  await eventually(
    () => agent.relayNames,
    (names) => names.join() === 'relays/a,relays/b',
  );
  agent.goodbye();
  await agent.ended;
  await controller.stop();
  copyFileSync(copy, store);

  await controller.start();
  const again = harness.connect({ state: agent.state });
  const refused = await again.ended;
  expect(refused?.reason).toBe('STALE_CONTROLLER');
  expect(refused?.message).toContain('--restored');
  expect(again.relayNames).toEqual(['relays/a', 'relays/b']);
  await controller.stop();

  await controller.start({ isRestored: true });
  const taken = harness.connect({ state: agent.state });
  await eventually(
    () => taken.relayNames,
    (names) => names.join() === 'relays/a',
  );
  expect(taken.state.term).toBe(2n);
  const { revision } = taken.state;
  taken.goodbye();
  await taken.ended;
  await controller.stop();

  // Once is enough, and what is written from now on comes after what any host or watch knew.
  await controller.start();
  const last = harness.connect({ state: taken.state });
  await harness.create(relay('c', { outputPort: 6003 }));
  await eventually(
    () => last.relayNames,
    (names) => names.join() === 'relays/a,relays/c',
  );
  expect(last.state.term).toBe(2n);
  expect(last.state.revision).toBeGreaterThan(revision);
});
