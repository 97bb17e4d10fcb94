import { Any } from '@mcfleet/proto/google/protobuf/any';
import { ErrorInfo } from '@mcfleet/proto/google/rpc/error_details';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { InstanceState, Relay, RelayEngine, RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { UpdateRelayRequest } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { describe, expect, it } from 'vitest';
import { protoJson } from './proto-json.ts';

const json = (type: string, message: unknown): string => JSON.stringify(protoJson(type, message));

describe('protoJson', () => {
  it('writes 64-bit numbers as strings, enums by their full names, and leaves out what is not set', () => {
    const instance = RelayInstance.fromPartial({
      name: 'hosts/h/relayInstances/r',
      desiredGeneration: 9_007_199_254_740_993n,
      state: InstanceState.READY,
      effectiveEngine: RelayEngine.USERSPACE,
      counters: { rxPackets: 2n ** 64n - 1n, outputs: [{ output: 'o', up: false }] },
    });
    expect(protoJson(RelayInstance.$type, instance)).toEqual({
      name: 'hosts/h/relayInstances/r',
      desiredGeneration: '9007199254740993',
      state: 'INSTANCE_STATE_READY',
      effectiveEngine: 'RELAY_ENGINE_USERSPACE',
      counters: { rxPackets: '18446744073709551615', outputs: [{ output: 'o' }] },
    });
  });

  it.each([
    [0n, 20_000_000, '0.020s'],
    [1n, 500, '1.000000500s'],
    [1n, 1000, '1.000001s'],
    [90n, 0, '90s'],
    [-1n, -500_000_000, '-1.500s'],
  ])('writes a duration of %s s and %s ns', (seconds, nanos, expected) => {
    const instance = RelayInstance.fromPartial({ lastApplyDuration: { seconds, nanos } });
    expect(json(RelayInstance.$type, instance)).toBe(`{"lastApplyDuration":"${expected}"}`);
  });

  it('writes times with no more digits than they need', () => {
    const at = (ms: number): string => json(Relay.$type, Relay.fromPartial({ createTime: new Date(ms) }));
    expect(at(0)).toBe('{"createTime":"1970-01-01T00:00:00Z"}');
    expect(at(1500)).toBe('{"createTime":"1970-01-01T00:00:01.500Z"}');
  });

  it('keeps what has presence, also when it is zero', () => {
    const spec = { input: { interface: 'e', group: '', port: 0 } };
    expect(json(Relay.$type, Relay.fromPartial({ spec }))).toBe('{"spec":{"input":{"interface":"e","port":0}}}');
  });

  it('writes maps sorted, bytes in base64, field masks as one string, and an unknown enum value as its number', () => {
    expect(json(Host.$type, Host.fromPartial({ labels: { b: '2', a: '1' } }))).toBe('{"labels":{"a":"1","b":"2"}}');
    expect(json(Host.$type, Host.fromPartial({ status: { stateHash: Buffer.from([251, 255]) } }))).toBe(
      '{"status":{"stateHash":"+/8="}}',
    );
    expect(
      json(UpdateRelayRequest.$type, UpdateRelayRequest.fromPartial({ updateMask: ['spec.match_labels', 'labels'] })),
    ).toBe('{"updateMask":"spec.matchLabels,labels"}');
    const strange = RelayInstance.decode(new Uint8Array([0x38, 42]));
    expect(json(RelayInstance.$type, strange)).toBe('{"state":42}');
  });

  it('writes the details of errors, those of unknown types as bytes', () => {
    const details = [
      Any.fromPartial({
        typeUrl: `type.googleapis.com/${ErrorInfo.$type}`,
        value: Buffer.from(ErrorInfo.encode(ErrorInfo.fromPartial({ reason: 'R', metadata: { a: 'b' } })).finish()),
      }),
      Any.fromPartial({ typeUrl: 'type.googleapis.com/foreign.Type', value: Buffer.from([1]) }),
    ];
    expect(protoJson(RelayInstance.$type, RelayInstance.fromPartial({ lastError: { code: 3, details } }))).toEqual({
      lastError: {
        code: 3,
        details: [
          { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'R', metadata: { a: 'b' } },
          { '@type': 'type.googleapis.com/foreign.Type', '@value': 'AQ==' },
        ],
      },
    });
  });
});
