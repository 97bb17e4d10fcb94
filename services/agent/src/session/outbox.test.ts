import { ConfigStatus, Heartbeat, InstanceReport, RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
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
    outbox.addTelemetry([{ timeUnixNano: 1n, relays: [] }]);
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
