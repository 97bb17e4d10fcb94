import { AgentMessage, RelayTelemetry } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RelayPlan } from '../resolve/resolve-relay.ts';
import { MAX_MESSAGE_BYTES } from './batches.ts';
import { LossWatch } from './loss-watch.ts';
import { inputTelemetry, relayTelemetry, TelemetryDiff } from './telemetry.ts';

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
      diff.next({ relays, inputs: [] }, 1n).flatMap((batch) => batch.relays.map(({ uid }) => uid));
    expect(told(telemetry('a', 1n), telemetry('b', 1n))).toEqual(['a', 'b']);
    expect(told(telemetry('a', 1n), telemetry('b', 2n))).toEqual(['b']);
    expect(told(telemetry('a', 1n), telemetry('b', 2n))).toEqual([]);
  });

  it('keeps every message below 48 KiB and loses no relay', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 64 }), { maxLength: 60 }), (outputs) => {
        const relays = outputs.map((count, i) => telemetry(`relay-${i}`, 2n ** 63n, count));
        const batches = new TelemetryDiff().next({ relays, inputs: [] }, 2n ** 63n);
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
    expect(relayTelemetry([plan], snapshot, new LossWatch())).toMatchObject([
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
    const told = (drops: bigint) => diff.next({ relays: [telemetry('a', 1n)], inputs: inputs(drops) }, 1n);
    expect(told(1n).map((batch) => batch.inputs?.interfaces.length)).toEqual([undefined, 1]);
    expect(told(1n)).toEqual([]);
    expect(told(2n)).toMatchObject([{ relays: [], inputs: { interfaces: [{ kernelDrops: 2n }] } }]);
    // The last input has gone.
    expect(diff.next({ relays: [], inputs: [] }, 1n)).toMatchObject([{ inputs: { interfaces: [] } }]);
  });
});
