import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { protoJson } from '../render/proto-json.ts';
import { anyRelay } from '../testing/any-relay.ts';
import { parseRelays } from './parse.ts';
import { formatViolation } from './position.ts';
import { relayToDocument, toYaml } from './write.ts';

describe('documents', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(anyRelay, (intent) => {
        const written = Relay.fromPartial(intent);
        const { relays, violations } = parseRelays('r.yaml', toYaml(relayToDocument(written, protoJson)));
        expect(violations.map(formatViolation)).toEqual([]);
        expect(relays[0]?.relay).toEqual(written);
      }),
      { numRuns: 500 },
    );
  });

  it('hold what the controller adds below status, where apply ignores it', () => {
    const stored = Relay.fromPartial({
      name: 'relays/a',
      uid: 'u',
      generation: 3n,
      etag: '"x"',
      createTime: new Date(0),
      spec: { hosts: { names: ['h'] }, input: { interface: 'e', group: '239.1.1.1' }, outputs: [{ interface: 'f' }] },
      status: { observedGeneration: 3n, readyInstances: 1 },
    });
    const document = toYaml(relayToDocument(stored, protoJson));
    expect(document).toBe(`apiVersion: mcfleet/v1
kind: Relay
metadata:
  name: a
spec:
  hosts:
    names:
      - h
  engine: AUTO
  input:
    interface: e
    group: 239.1.1.1
  outputs:
    - interface: f
status:
  uid: u
  generation: "3"
  etag: '"x"'
  createTime: 1970-01-01T00:00:00Z
  observedGeneration: "3"
  readyInstances: 1
`);
    const { relays } = parseRelays('r.yaml', document);
    expect(relays[0]?.relay).toMatchObject({ name: 'relays/a', uid: '', generation: 0n, status: undefined });
  });
});
