import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  hostName,
  parseHostName,
  parseRelayInstanceName,
  parseRelayName,
  relayInstanceName,
  relayName,
} from './names.ts';

const relayIds = fc.stringMatching(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/);
const hostIds = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,50}[a-z0-9])?$/);

test('full and bare names mean the same', () => {
  fc.assert(
    fc.property(relayIds, hostIds, (relayId, hostId) => {
      expect(parseRelayName(relayName(relayId))).toBe(relayId);
      expect(parseRelayName(relayId)).toBe(relayId);
      expect(parseHostName(hostName(hostId))).toBe(hostId);
      expect(parseHostName(hostId)).toBe(hostId);
      expect(parseRelayInstanceName(relayInstanceName(hostId, relayId))).toEqual({ hostId, relayId });
    }),
  );
});

test.each([
  '',
  'relays/',
  'Camera',
  '7camera',
  'a-',
  'a_b',
  'hosts/a',
  'relays/a/b',
  'a'.repeat(64),
  'relays/relays/a',
])('relay name %j is refused', (name) => {
  expect(() => parseRelayName(name)).toThrow(expect.objectContaining({ reason: 'INVALID_NAME', code: 3 }));
});

test.each(['', 'hosts/', '.a', 'a.', 'A', 'a b', 'a'.repeat(254)])('host name %j is refused', (name) => {
  expect(() => parseHostName(name)).toThrow(expect.objectContaining({ reason: 'INVALID_NAME' }));
});

test.each(['hosts/a', 'hosts/a/relays/b', 'hosts/a/relayInstances/b/c', 'hosts/a/relayInstances/'])(
  'instance name %j is refused',
  (name) => {
    expect(() => parseRelayInstanceName(name)).toThrow(expect.objectContaining({ reason: 'INVALID_NAME' }));
  },
);
