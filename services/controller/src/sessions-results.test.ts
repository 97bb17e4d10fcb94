import { FleetError } from '@mcfleet/common/error';
import { toRpcStatus } from '@mcfleet/common/status-details';
import type { RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { PacketPathOptions } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import {
  InstanceState,
  InterfaceInput,
  InterfaceOutput,
  RelayCounters,
  type RelayInstance,
  TransmitReason,
  TransmitWay,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { condition, SessionHarness } from './testing/session-harness.ts';
import { defined, eventually, relay } from './testing/test-controller.ts';

let harness: SessionHarness;

beforeEach(async () => {
  harness = await new SessionHarness().start();
});

afterEach(() => harness.dispose());

test('a relay goes down, its result comes up', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  const before = await harness.create(relay('a'));
  expect(before.reconciling).toBe(true);
  await eventually(
    () => agent.relayNames,
    (names) => names.length === 1,
  );
  const after = await eventually(
    () => harness.get('a'),
    ({ reconciling }) => !reconciling,
  );
  expect(after.status).toMatchObject({
    observedGeneration: 1n,
    desiredInstances: 1,
    updatedInstances: 1,
    readyInstances: 1,
  });
  expect(condition(defined(after.status), 'Ready')).toEqual([ConditionStatus.TRUE, 'Forwarding']);
  const shown = await harness.instance();
  expect(shown).toMatchObject({
    name: 'hosts/edge-1/relayInstances/a',
    desiredGeneration: 1n,
    appliedGeneration: 1n,
    state: InstanceState.READY,
    effectiveEngine: 2,
  });
  const { status } = await harness.host();
  expect(status).toMatchObject({ relays: 1, appliedRevision: after.revision, desiredRevision: after.revision });
});

test('what a host waits for is told by the conditions, and is no refusal', async () => {
  const error = toRpcStatus(new FleetError({ code: 9, reason: 'INTERFACE_NOT_FOUND', message: 'eth0 is not there' }));
  await harness.connect({ judge: () => ({ state: InstanceState.PENDING, error }) }).welcomed;
  await harness.create(relay('a'));
  const waiting = await eventually(
    () => harness.instance('relays/a'),
    ({ state }) => state === InstanceState.PENDING,
  );
  expect(condition(waiting, 'Programmed')).toEqual([ConditionStatus.FALSE, 'InterfaceNotFound']);
  expect(waiting.conditions[0]?.message).toBe('eth0 is not there');
  expect(waiting.lastError).toBeUndefined();
});

test('one refused relay does not hold up its neighbours, and is not sent again until it changes', async () => {
  const error = toRpcStatus(new FleetError({ code: 9, reason: 'NO_SUCH_THING', message: 'cannot do that' }));
  const judge = ({ name, relay: body }: { name: string; relay: unknown }): Partial<RelayResult> =>
    name === 'relays/bad' && !JSON.stringify(body).includes('6099') ? { state: InstanceState.FAILED, error } : {};
  const agent = harness.connect({ judge });
  await agent.welcomed;
  await harness.create(relay('bad', { outputPort: 6098 }));
  await harness.create(relay('a'));
  const failed = await eventually(
    () => harness.instance('relays/bad'),
    ({ state }) => state === InstanceState.FAILED,
  );
  expect(condition(failed, 'Programmed')).toEqual([ConditionStatus.FALSE, 'NoSuchThing']);
  expect(failed.lastError?.message).toBe('cannot do that');
  await eventually(
    () => harness.instance('relays/a'),
    ({ state }) => state === InstanceState.READY,
  );
  const whole = await harness.get('bad');
  expect(whole.status).toMatchObject({ failedInstances: 1, sampleFailures: ['edge-1'] });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(agent.updates.flatMap(({ upserts }) => upserts).filter((name) => name === 'relays/bad')).toHaveLength(1);
  const fixed = { ...relay('bad', { outputPort: 6099 }) };
  await harness.update(fixed, ['spec.outputs']);
  await eventually(
    () => harness.instance('relays/bad'),
    ({ state }) => state === InstanceState.READY,
  );
});

test('a relay that was refused for a passing reason is sent again', async () => {
  const error = toRpcStatus(new FleetError({ code: 14, reason: 'BUSY', message: 'later' }));
  let refusals = 3;
  const agent = harness.connect({ judge: () => (refusals-- > 0 ? { state: InstanceState.FAILED, error } : {}) });
  await agent.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  expect(agent.updates.flatMap(({ upserts }) => upserts)).toEqual(Array(4).fill('relays/a'));
});

test('a relay that was refused for good is sent again when the interfaces change', async () => {
  const error = toRpcStatus(new FleetError({ code: 9, reason: 'NO_INTERFACE', message: 'not there' }));
  let isThere = false;
  const agent = harness.connect({ judge: () => (isThere ? {} : { state: InstanceState.FAILED, error }) });
  await agent.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.FAILED);
  isThere = true;
  agent.send({
    $case: 'inventory',
    value: {
      interfaces: [
        { index: 7, name: 'eth0', mac: '', mtu: 1500, flags: ['UP'], addresses: [], operState: 'up', kind: 'veth' },
      ],
    },
  });
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  expect((await harness.host()).status?.interfaces).toEqual([expect.objectContaining({ name: 'eth0', index: 7 })]);
});

test('reports without an update change the instance; the transition time moves only with the status', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  const { uid } = await harness.create(relay('a'));
  const ready = await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  agent.report([{ uid, generation: 1n, state: InstanceState.READY, engineReason: 'REQUESTED' }]);
  const still = await eventually(harness.instance, ({ engineReason }) => engineReason === 'REQUESTED');
  expect(still.conditions).toEqual(ready.conditions);
  agent.report([
    {
      uid,
      generation: 1n,
      state: InstanceState.DEGRADED,
      outputsDown: [
        {
          output: '239.10.10.10:6001@eth1',
          txPackets: 0n,
          txBytes: 0n,
          drops: [],
          up: false,
          downReason: 'InterfaceDown',
          startTime: undefined,
          lastDropTime: undefined,
          warning: '',
          transmit: TransmitWay.UNSPECIFIED,
          transmitReason: TransmitReason.UNSPECIFIED,
        },
      ],
    },
  ]);
  const degraded = await eventually(harness.instance, ({ state }) => state === InstanceState.DEGRADED);
  expect(condition(degraded, 'Programmed')).toEqual([ConditionStatus.TRUE, 'Programmed']);
  expect(condition(degraded, 'Ready')).toEqual([ConditionStatus.FALSE, 'OutputsDown']);
  const since = (shown: RelayInstance, type: string) =>
    shown.conditions.find((each) => each.type === type)?.lastTransitionTime;
  expect(since(degraded, 'Programmed')).toEqual(since(ready, 'Programmed'));
  expect(defined(since(degraded, 'Ready')).getTime()).toBeGreaterThan(defined(since(ready, 'Ready')).getTime());
});

test('what an agent tells of its data plane is shown, and none of it passes for what the controller sees itself', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  const told = (type: string, message: string) =>
    Condition.fromPartial({ type, status: ConditionStatus.TRUE, reason: 'Because', message });
  const options = PacketPathOptions.fromPartial({ ringBytes: 1n, workers: 2, cpus: [0, 1], transmit: 'io_uring' });
  const conditions = [
    told('TransmitUnavailable', 'first'),
    told('TransmitUnavailable', 'again'),
    told('Connected', 'x'),
    told('OtherCluster', 'x'),
    told('', 'x'),
  ];
  const udpSockets = { open: 4, most: 1024, refused: 2n, failed: 1n, packetsWithout: 300n };
  agent.heartbeat(undefined, { options, conditions, workers: [{ index: 0, cpu: 1, packets: 5n, udpSockets }] });
  const { status } = await eventually(
    () => harness.host(),
    (host) => host.status?.options !== undefined,
  );
  expect(status).toMatchObject({ options, workers: [{ index: 0, cpu: 1, packets: 5n, udpSockets }] });
  expect(status?.conditions.map(({ type, message }) => [type, message])).toEqual([
    ['Connected', 'the agent is connected'],
    ['DataplaneHealthy', 'the data plane answers'],
    ['StateSaved', 'the host keeps its relays over a reboot'],
    ['TransmitUnavailable', 'first'],
  ]);
  agent.heartbeat();
  await eventually(
    () => harness.host(),
    (host) => host.status?.conditions.length === 3,
  );
});

test('counters are shown, and only of relays that the host shall run', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  const { uid } = await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  const counters = {
    rxPackets: 2n ** 60n,
    rxBytes: 5n,
    outputs: [],
    drops: [{ reason: 'tx_full', packets: 3n, lastDropTime: undefined }],
    lastPacketTime: undefined,
    latency: undefined,
    startTime: new Date(1_700_000_000_000),
    warning: 'PortInUse',
  };
  const time = 1_800_000_000_000;
  agent.send({
    $case: 'telemetry',
    value: {
      timeUnixNano: BigInt(time) * 1_000_000n,
      relays: [
        { uid, counters },
        { uid: 'unknown', counters },
      ],
      inputs: undefined,
      outputs: undefined,
    },
  });
  const shown = await eventually(harness.instance, (each) => each.counters !== undefined);
  expect(shown.counters).toEqual(counters);
  expect(shown.countersTime?.getTime()).toBe(time);
});

test('a heartbeat says that counters were read again and are the same, of those that are read', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  const { uid } = await harness.create(relay('a'));
  const tell = (ms: number, counters: RelayCounters | undefined): void =>
    agent.send({
      $case: 'telemetry',
      value: {
        timeUnixNano: BigInt(ms) * 1_000_000n,
        relays: [{ uid, counters }],
        inputs: undefined,
        outputs: undefined,
      },
    });
  const readAgain = (ms: number): void =>
    agent.heartbeat(agent.hash, { countersTimeUnixNano: BigInt(ms) * 1_000_000n });
  const until = (ms: number) => eventually(harness.instance, ({ countersTime }) => countersTime?.getTime() === ms);
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  readAgain(1000);
  tell(2000, RelayCounters.fromPartial({ rxPackets: 7n }));
  await until(2000);
  readAgain(5000);
  expect((await until(5000)).counters?.rxPackets).toBe(7n);
  // From here on it is not read: what is known of it does not become newer, nor older.
  tell(6000, undefined);
  readAgain(9000);
  const name = defined(relay('a').spec?.input).interface;
  const inputs = { interfaces: [InterfaceInput.fromPartial({ interface: name, kernelDrops: 9n })] };
  agent.send({ $case: 'telemetry', value: { timeUnixNano: 1n, relays: [], inputs, outputs: undefined } });
  const last = await eventually(harness.instance, ({ input }) => input?.kernelDrops === 9n);
  expect(last.countersTime?.getTime()).toBe(5000);
  expect(last.counters?.rxPackets).toBe(7n);
  tell(10_000, RelayCounters.fromPartial({ rxPackets: 8n }));
  readAgain(11_000);
  await until(11_000);
  // The next session has not told yet that it reads it.
  const next = harness.connect();
  await next.welcomed;
  next.heartbeat(next.hash, { countersTimeUnixNano: 20_000n * 1_000_000n });
  next.send({
    $case: 'telemetry',
    value: { timeUnixNano: 1n, relays: [], inputs: { interfaces: [] }, outputs: undefined },
  });
  const after = await eventually(harness.instance, ({ input }) => input === undefined);
  expect(after.countersTime?.getTime()).toBe(11_000);
});

test('what an input interface lost is shown with the host and with the relays that take packets there', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  const name = defined(relay('a').spec?.input).interface;
  const tell = (...kernelDrops: bigint[]): void => {
    const interfaces = kernelDrops.map((drops, i) =>
      InterfaceInput.fromPartial({ interface: i === 0 ? name : `other${i}`, kernelDrops: drops }),
    );
    agent.send({
      $case: 'telemetry',
      value: { timeUnixNano: 1n, relays: [], inputs: { interfaces }, outputs: undefined },
    });
  };
  tell(5n, 6n);
  const shown = await eventually(harness.instance, ({ input }) => input !== undefined);
  expect(shown.input).toMatchObject({ interface: name, kernelDrops: 5n });
  expect((await harness.host()).status?.inputs.map(({ kernelDrops }) => kernelDrops)).toEqual([5n, 6n]);
  tell(7n);
  await eventually(harness.instance, ({ input }) => input?.kernelDrops === 7n);
  expect((await harness.host()).status?.inputs).toHaveLength(1);
});

test('what the interfaces of outputs lost is shown with the host and with the relays that send there', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  const name = defined(relay('a').spec?.outputs[0]).interface;
  const tell = (...lost: bigint[]): void => {
    const interfaces = lost.map((packets, i) =>
      InterfaceOutput.fromPartial({
        interface: i === 0 ? name : `other${i}`,
        drops: [{ reason: 'queue', packets }],
      }),
    );
    const outputs = { interfaces };
    agent.send({ $case: 'telemetry', value: { timeUnixNano: 1n, relays: [], inputs: undefined, outputs } });
  };
  tell(5n, 6n);
  const shown = await eventually(harness.instance, ({ outputInterfaces }) => outputInterfaces.length > 0);
  expect(shown.outputInterfaces).toMatchObject([{ interface: name, drops: [{ packets: 5n }] }]);
  expect((await harness.host()).status?.outputs).toMatchObject([{ interface: name }, { interface: 'other1' }]);
  tell(7n);
  await eventually(harness.instance, ({ outputInterfaces }) => outputInterfaces[0]?.drops[0]?.packets === 7n);
  expect((await harness.host()).status?.outputs).toHaveLength(1);
});

test('a host that is gone keeps its last state, but is no longer known to be ready', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  agent.goodbye();
  const gone = await eventually(harness.instance, (each) => condition(each, 'Ready')[0] === ConditionStatus.UNKNOWN);
  expect(gone.state).toBe(InstanceState.READY);
  expect(condition(gone, 'Ready')).toEqual([ConditionStatus.UNKNOWN, 'HostNotConnected']);
  expect(condition(gone, 'Programmed')).toEqual([ConditionStatus.TRUE, 'Programmed']);
  expect((await harness.host()).status?.connected).toBe(false);
});
