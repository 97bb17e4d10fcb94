import { AgentMessage, RelayTelemetry } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { ProgrammedRelay, SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RelayPlan } from '../resolve/resolve-relay.ts';
import { MAX_MESSAGE_BYTES } from './batches.ts';
import { LossWatch } from './loss-watch.ts';
import { inputTelemetry, losingInterfaces, outputTelemetry, relayTelemetry, TelemetryDiff } from './telemetry.ts';

const telemetry = (uid: string, rxPackets: bigint, outputs = 1): RelayTelemetry =>
  RelayTelemetry.fromPartial({
    uid,
    counters: {
      rxPackets,
      outputs: Array.from({ length: outputs }, (_, i) => ({
        output: `239.1.1.${i}:6001@eth1`,
        txPackets: rxPackets,
        up: true,
      })),
    },
  });

const forwarding: RelayPlan = {
  uid: 'a',
  name: 'relays/a',
  generation: 1n,
  verdict: 'forward',
  problem: undefined,
  program: undefined,
  input: 'in0',
  outputs: [],
  outputsDown: [],
  warnings: new Map(),
  engine: RelayEngine.USERSPACE,
  engineReason: 'REQUESTED',
};

describe('TelemetryDiff', () => {
  it('tells what changed since it was told last, and all of it at first', () => {
    const diff = new TelemetryDiff();
    const told = (...relays: RelayTelemetry[]) =>
      diff.next({ relays, inputs: [], outputs: [] }, 1n).flatMap((batch) => batch.relays.map(({ uid }) => uid));
    expect(told(telemetry('a', 1n), telemetry('b', 1n))).toEqual(['a', 'b']);
    expect(told(telemetry('a', 1n), telemetry('b', 2n))).toEqual(['b']);
    expect(told(telemetry('a', 1n), telemetry('b', 2n))).toEqual([]);
  });

  it('tells once of a relay that is not counted any more', () => {
    const diff = new TelemetryDiff();
    const next = (...relays: RelayTelemetry[]) =>
      diff.next({ relays, inputs: [], outputs: [] }, 1n).flatMap((batch) => batch.relays);
    next(telemetry('a', 1n), telemetry('b', 1n));
    expect(next(telemetry('b', 1n))).toEqual([{ uid: 'a', counters: undefined }]);
    expect(next(telemetry('b', 1n))).toEqual([]);
    expect(next(telemetry('a', 1n), telemetry('b', 1n))).toEqual([telemetry('a', 1n)]);
  });

  it('keeps every message below 48 KiB and loses no relay', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 64 }), { maxLength: 60 }), (outputs) => {
        const relays = outputs.map((count, i) => telemetry(`relay-${i}`, 2n ** 63n, count));
        const batches = new TelemetryDiff().next({ relays, inputs: [], outputs: [] }, 2n ** 63n);
        for (const value of batches) {
          const message = AgentMessage.fromPartial({ seq: 2n ** 40n, body: { $case: 'telemetry', value } });
          expect(AgentMessage.encode(message).finish().length).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
        }
        expect(batches.flatMap((batch) => batch.relays)).toEqual(relays);
      }),
      { numRuns: 50 },
    );
  });
});

describe('relayTelemetry', () => {
  it('has one entry per output of the spec, in its order, with what keeps it down', () => {
    const problem = { code: 9, reason: 'InterfaceNotFound', message: '' };
    const plan: RelayPlan = {
      ...forwarding,
      outputs: ['one', 'two'],
      outputsDown: [{ key: 'one', problem }],
      warnings: new Map([['two', 'LinkLocalSource']]),
    };
    const snapshot = SnapshotResponse.fromPartial({
      relays: [
        { uid: 'a', counters: { rxPackets: 5n, outputs: [{ output: 'two', txPackets: 5n, up: true }] } },
        { uid: 'stray' },
      ],
    });
    expect(relayTelemetry([plan], snapshot, new LossWatch(), new Set())).toMatchObject([
      {
        uid: 'a',
        counters: {
          rxPackets: 5n,
          outputs: [
            { output: 'one', up: false, downReason: 'InterfaceNotFound' },
            { output: 'two', txPackets: 5n, up: true, warning: 'LinkLocalSource' },
          ],
        },
      },
    ]);
  });
});

describe('losses', () => {
  it('are dated by reason, so that a person is told of what goes on and not of what was worst', () => {
    const plan: RelayPlan = { ...forwarding, outputs: ['one'], outputsDown: [] };
    const losses = new LossWatch();
    const read = (second: number, down: bigint, mtu: bigint): unknown => {
      const drops = [
        { reason: 'interface_down', packets: down },
        { reason: 'mtu', packets: mtu },
      ];
      const counters = { drops: [{ reason: 'loop', packets: down }], outputs: [{ output: 'one', drops }] };
      losses.begin(new Date(second * 1000));
      const [relay] = relayTelemetry(
        [plan],
        SnapshotResponse.fromPartial({ relays: [{ uid: 'a', counters }] }),
        losses,
        new Set(),
      );
      const all = [...(relay?.counters?.outputs[0]?.drops ?? []), ...(relay?.counters?.drops ?? [])];
      return all.map(({ lastDropTime }) => lastDropTime?.getTime());
    };
    expect(read(1, 2000n, 0n)).toEqual([undefined, undefined, undefined]);
    expect(read(2, 2001n, 0n)).toEqual([2000, undefined, 2000]);
    expect(read(3, 2001n, 1n)).toEqual([2000, 3000, 2000]);
  });
});

describe('inputTelemetry', () => {
  const snapshot = (kernelDrops: bigint, malformed: bigint): SnapshotResponse =>
    SnapshotResponse.fromPartial({
      inputs: [
        { ifindex: 7, rxPackets: 9n, kernelDrops, drops: [{ reason: 'malformed_udp_length', packets: malformed }] },
        { ifindex: 8 },
      ],
    });
  const names = new Map([[7, 'eth0']]);

  it('names interfaces, and tells when losses last rose since the agent looked first', () => {
    const losses = new LossWatch();
    const read = (second: number, drops: bigint, malformed: bigint) => {
      losses.begin(new Date(second * 1000));
      const [input, ...others] = inputTelemetry(names, snapshot(drops, malformed), losses);
      expect(others).toEqual([]);
      expect(input).toMatchObject({ interface: 'eth0', rxPackets: 9n, kernelDrops: drops });
      return [input?.lastKernelDropTime?.getTime(), input?.lastDropTime?.getTime()];
    };
    expect(read(1, 5n, 0n)).toEqual([undefined, undefined]);
    expect(read(2, 5n, 1n)).toEqual([undefined, 2000]);
    expect(read(3, 6n, 1n)).toEqual([3000, 2000]);
    expect(read(4, 6n, 1n)).toEqual([3000, 2000]);
    // Another data plane, which counts from zero.
    expect(read(5, 0n, 1n)).toEqual([3000, 2000]);
    expect(read(6, 2n, 0n)).toEqual([6000, 2000]);
  });

  it('is told with the relays, and again only if it changed', () => {
    const diff = new TelemetryDiff();
    const inputs = (drops: bigint) => inputTelemetry(names, snapshot(drops, 0n), new LossWatch());
    const told = (drops: bigint) => diff.next({ relays: [telemetry('a', 1n)], inputs: inputs(drops), outputs: [] }, 1n);
    expect(told(1n).map((batch) => batch.inputs?.interfaces.length)).toEqual([undefined, 1]);
    expect(told(1n)).toEqual([]);
    expect(told(2n)).toMatchObject([{ relays: [], inputs: { interfaces: [{ kernelDrops: 2n }] } }]);
    // The last input has gone.
    expect(diff.next({ relays: [telemetry('a', 1n)], inputs: [], outputs: [] }, 1n)).toMatchObject([
      { inputs: { interfaces: [] } },
    ]);
  });
});

describe('outputTelemetry', () => {
  const started = new Date(500);
  const reading = (queue: bigint, device = 0n, ifindex = 8): SnapshotResponse => {
    const drops = [
      { reason: 'queue', packets: queue },
      { reason: 'device_dropped', packets: device },
    ];
    return SnapshotResponse.fromPartial({ outputs: [{ ifindex, drops, startTime: started }, { ifindex: 9 }] });
  };
  const names = new Map([[8, 'eth1']]);

  it('names interfaces, and dates what they lost', () => {
    const losses = new LossWatch();
    const read = (second: number, snapshot: SnapshotResponse) => {
      losses.begin(new Date(second * 1000));
      return outputTelemetry(names, snapshot, losses);
    };
    // Lost before the agent looked: nobody knows when.
    expect(read(1, reading(5n))).toEqual([
      {
        interface: 'eth1',
        drops: [{ reason: 'queue', packets: 5n, lastDropTime: undefined }],
        lastDropTime: undefined,
        startTime: started,
      },
    ]);
    expect(read(2, reading(6n))).toMatchObject([{ drops: [{ lastDropTime: new Date(2000) }] }]);
    expect(read(3, reading(6n, 1n))).toMatchObject([
      { drops: [{ lastDropTime: new Date(2000) }, { packets: 1n, lastDropTime: new Date(3000) }] },
    ]);
    expect(read(4, reading(6n, 1n))).toMatchObject([{ lastDropTime: new Date(3000) }]);
    // It is deleted and made again: the sum is not of this moment.
    expect(read(5, SnapshotResponse.fromPartial({}))).toEqual([]);
    expect(read(6, reading(6n, 1n))).toMatchObject([{ lastDropTime: undefined }]);
    expect(read(7, reading(7n, 1n))).toMatchObject([{ lastDropTime: new Date(7000) }]);
  });

  it('dates what is lost on an interface that was not used before', () => {
    const losses = new LossWatch();
    losses.begin(new Date(100));
    expect(outputTelemetry(names, SnapshotResponse.fromPartial({}), losses)).toEqual([]);
    losses.begin(new Date(1100));
    expect(outputTelemetry(names, reading(3n), losses)).toMatchObject([{ lastDropTime: new Date(1100) }]);
  });

  it('warns at the outputs of an interface for a minute, and of a link-local source after that', () => {
    const program = ProgrammedRelay.fromPartial({
      outputs: [
        { key: 'one', ifindex: 7 },
        { key: 'two', ifindex: 8 },
        { key: 'three', ifindex: 8 },
      ],
    });
    const warnings = new Map([['two', 'LinkLocalSource']]);
    const plan: RelayPlan = { ...forwarding, program, outputs: ['one', 'two', 'three'], warnings };
    const losses = new LossWatch();
    const warned = (second: number, queue: bigint): unknown => {
      const now = second * 1000;
      losses.begin(new Date(now));
      const snapshot = { ...reading(queue), relays: [{ uid: 'a', counters: {} }] };
      const outputs = outputTelemetry(names, snapshot as SnapshotResponse, losses);
      const losing = losingInterfaces(names, outputs, now);
      const [relay] = relayTelemetry([plan], SnapshotResponse.fromPartial(snapshot), losses, losing);
      return relay?.counters?.outputs.map(({ warning }) => warning);
    };
    expect(warned(1, 1n)).toEqual(['', 'LinkLocalSource', '']);
    expect(warned(2, 2n)).toEqual(['', 'InterfaceDrops', 'InterfaceDrops']);
    expect(warned(61, 2n)).toEqual(['', 'InterfaceDrops', 'InterfaceDrops']);
    expect(warned(62, 2n)).toEqual(['', 'LinkLocalSource', '']);
  });

  it('is told with the relays, and again only if it changed', () => {
    const diff = new TelemetryDiff();
    const told = (queue: bigint) => {
      const outputs = outputTelemetry(names, reading(queue), new LossWatch());
      return diff.next({ relays: [], inputs: [], outputs }, 1n).filter((batch) => batch.outputs !== undefined);
    };
    expect(told(1n)).toMatchObject([
      { relays: [], inputs: undefined, outputs: { interfaces: [{ interface: 'eth1' }] } },
    ]);
    expect(told(1n)).toEqual([]);
    expect(told(2n)).toHaveLength(1);
  });
});
