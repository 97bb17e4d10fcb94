import {
  AgentMessage,
  ConfigStatus,
  Heartbeat,
  InstanceReport,
  RelayResult,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import { InstanceState } from '@mcfleet/proto/mcfleet/v1/relay';
import { describe, expect, it } from 'vitest';
import { Outbox } from './outbox.ts';

describe('Outbox', () => {
  it('sends answers first, then what is newest of each kind, once', () => {
    let beats = 0n;
    const outbox = new Outbox({
      heartbeat: () => Heartbeat.fromPartial({ appliedRevision: ++beats }),
      inventory: () => ({ interfaces: [] }),
      result: (uid) => (uid === 'gone' ? undefined : RelayResult.fromPartial({ uid })),
    });
    outbox.addTelemetry([{ timeUnixNano: 1n, relays: [], inputs: undefined, outputs: undefined }], 1n);
    expect(outbox.wantsTelemetry).toBe(false);
    outbox.addInventory();
    outbox.addReports(['a', 'gone', 'b']);
    outbox.addReports(['a']);
    outbox.addHeartbeat();
    outbox.addHeartbeat();
    outbox.addStatus(ConfigStatus.fromPartial({ nonce: 1n }));
    outbox.addStatus(ConfigStatus.fromPartial({ nonce: 2n }));
    const sent = [];
    for (let body = outbox.take(); body !== undefined; body = outbox.take()) sent.push(body);
    expect(sent.map(({ $case }) => $case)).toEqual([
      'configStatus',
      'configStatus',
      'heartbeat',
      'instanceReport',
      'inventory',
      'telemetry',
    ]);
    expect(beats).toBe(1n);
    expect(sent[3]).toMatchObject({ value: { results: [{ uid: 'a' }, { uid: 'b' }] } });
    expect(outbox.wantsTelemetry).toBe(true);
  });

  it('says with a heartbeat until when all counters have been told', () => {
    const outbox = new Outbox({
      heartbeat: () => Heartbeat.fromPartial({}),
      inventory: () => ({ interfaces: [] }),
      result: () => undefined,
    });
    const batch = { timeUnixNano: 0n, relays: [], inputs: undefined, outputs: undefined };
    const told = (): bigint | undefined => {
      outbox.addHeartbeat();
      const body = outbox.take();
      return body?.$case === 'heartbeat' ? body.value.countersTimeUnixNano : undefined;
    };
    expect(told()).toBe(0n);
    outbox.addTelemetry([batch, batch], 5n);
    expect(told()).toBe(0n);
    outbox.take();
    expect(told()).toBe(0n);
    outbox.take();
    expect(told()).toBe(5n);
    outbox.addTelemetry([], 6n);
    expect(told()).toBe(6n);
  });

  it('answers for ten thousand relays in messages below 48 KiB, refused ones first', () => {
    const results = Array.from({ length: 10_000 }, (_, i) =>
      RelayResult.fromPartial({
        uid: `relay-${i}`,
        state: i === 9_999 ? InstanceState.FAILED : InstanceState.PENDING,
        engineReason: 'x'.repeat(100),
      }),
    );
    const byUid = new Map(results.map((result) => [result.uid, result]));
    const outbox = new Outbox({
      heartbeat: () => Heartbeat.fromPartial({}),
      inventory: () => ({ interfaces: [] }),
      result: (uid) => byUid.get(uid),
    });
    outbox.addStatus(ConfigStatus.fromPartial({ nonce: 7n, stateHash: Buffer.alloc(16), results }));
    const seen: string[] = [];
    for (let body = outbox.take(); body !== undefined; body = outbox.take()) {
      if (body.$case !== 'configStatus' && body.$case !== 'instanceReport') throw new Error(body.$case);
      expect(AgentMessage.encode({ seq: 1n, body }).finish().length).toBeLessThanOrEqual(48 * 1024);
      expect(body.$case).toBe(seen.length === 0 ? 'configStatus' : 'instanceReport');
      seen.push(...body.value.results.map(({ uid }) => uid));
    }
    expect(seen[0]).toBe('relay-9999');
    expect(seen.toSorted()).toEqual([...byUid.keys()].toSorted());
  });

  it('splits reports of many relays into messages below 48 KiB', () => {
    const outbox = new Outbox({
      heartbeat: () => Heartbeat.fromPartial({}),
      inventory: () => ({ interfaces: [] }),
      result: (uid) => RelayResult.fromPartial({ uid, engineReason: 'x'.repeat(1000) }),
    });
    const uids = Array.from({ length: 200 }, (_, i) => `relay-${i}`);
    outbox.addReports(uids);
    const seen: string[] = [];
    for (let body = outbox.take(); body?.$case === 'instanceReport'; body = outbox.take()) {
      expect(InstanceReport.encode(body.value).finish().length).toBeLessThanOrEqual(48 * 1024);
      seen.push(...body.value.results.map(({ uid }) => uid));
    }
    expect(seen).toEqual(uids);
  });
});
