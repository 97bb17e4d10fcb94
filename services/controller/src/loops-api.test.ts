// Relays that may send to each other without end, as the API tells of them.
import { callUnary } from '@mcfleet/common/grpc/client';
import { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { NetworkInterface } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { ApplyRelaysRequest } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SessionHarness, TIMEOUT } from './testing/session-harness.ts';
import { eventually } from './testing/test-controller.ts';

let harness: SessionHarness;

beforeEach(async () => {
  harness = await new SessionHarness().start();
  await harness.label('edge-1', { role: 'edge' });
  await harness.label('edge-2', { role: 'edge' });
  await harness.label('edge-3', { role: 'edge' });
});
afterEach(() => harness.dispose());

function relay(name: string, host: string, group: string, address: string, more: object = {}): Relay {
  return Relay.fromPartial({
    name,
    spec: {
      hosts: { names: [host] },
      input: { interface: 'eth0', group, port: 5001 },
      outputs: [{ interface: 'eth1', address, ttl: 16 }],
      ...more,
    },
  });
}
const there = relay('there', 'edge-1', '239.1.1.1', '239.2.2.2');
const back = relay('back', 'edge-2', '239.2.2.2', '239.1.1.1');

const loopOf = async (name: string) =>
  (await harness.get(name)).status?.conditions.find(({ type }) => type === 'LoopPossible');
const untilLoop = (name: string, is: boolean) =>
  eventually(
    () => loopOf(name),
    (found) => (found !== undefined) === is,
  );
const apply = (...relays: Relay[]) =>
  callUnary(harness.controller.relays, 'applyRelays', ApplyRelaysRequest.fromPartial({ relays }), TIMEOUT);

test('relays that may send to each other say so, by all their names, and do what they did', async () => {
  await apply(there, back, relay('other', 'edge-1', '239.3.3.3', '239.4.4.4'));
  for (const name of ['there', 'back']) {
    expect(await untilLoop(name, true)).toMatchObject({
      status: ConditionStatus.TRUE,
      reason: 'RelaysInACircle',
      message: expect.stringMatching(
        /(there on edge-1 -> back on edge-2 -> there|back on edge-2 -> there on edge-1 -> back)\. /,
      ),
    });
  }
  expect(await loopOf('other')).toBeUndefined();
  expect((await harness.get('there')).status?.conditions).toContainEqual(
    expect.objectContaining({ type: 'Accepted', status: ConditionStatus.TRUE }),
  );
});

test('what ends the circle ends the condition, on the relays that were not changed too', async () => {
  await apply(there, back);
  await untilLoop('back', true);
  await apply(relay('there', 'edge-1', '239.1.1.1', '239.5.5.5'));
  await untilLoop('back', false);
  await apply(there);
  await untilLoop('back', true);
  await harness.remove('there');
  await untilLoop('back', false);
  // By a third one.
  await apply(relay('there', 'edge-1', '239.1.1.1', '239.6.6.6'), relay('between', 'edge-3', '239.6.6.6', '239.2.2.2'));
  expect((await untilLoop('back', true))?.message).toMatch(
    /back on edge-2 -> there on edge-1 -> between on edge-3 -> back\.|there on edge-1 -> between on edge-3 -> back on edge-2 -> there\.|between on edge-3 -> back on edge-2 -> there on edge-1 -> between\./,
  );
});

test('hosts that tell of different networks are no circle; after a restart as well', async () => {
  await apply(there, back);
  await untilLoop('there', true);
  const interfaces = (near: string, far: string) => [
    NetworkInterface.fromPartial({ index: 2, name: 'eth0', addresses: [near, 'fe80::1/64'] }),
    NetworkInterface.fromPartial({ index: 3, name: 'eth1', addresses: [far, 'fe80::2/64'] }),
  ];
  const first = harness.connect({
    host: 'edge-1',
    hello: { inventory: { interfaces: interfaces('10.1.0.1/24', '10.2.0.1/24') } },
  });
  const second = harness.connect({
    host: 'edge-2',
    hello: { inventory: { interfaces: interfaces('10.3.0.2/24', '10.1.0.2/24') } },
  });
  await Promise.all([first.welcomed, second.welcomed]);
  await untilLoop('there', false);
  await untilLoop('back', false);
  second.drop();
  // Now what edge-1 sends comes to edge-2.
  const moved = harness.connect({
    host: 'edge-2',
    hello: { inventory: { interfaces: interfaces('10.2.0.2/24', '10.1.0.2/24') } },
  });
  await moved.welcomed;
  await untilLoop('there', true);
  first.drop();
  moved.drop();
  await harness.controller.stop();
  await harness.controller.start();
  expect(await loopOf('back')).toBeDefined();
});
