import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressKind, isPtpGroup, isUnroutableGroup, parseAddress } from './address.ts';

test.each([
  '',
  'abc',
  '239.1.1',
  '239.1.1.01',
  '256.1.1.1',
  '1.2.3.4/24',
  ' 1.2.3.4',
  'fe80::1%eth0',
  '::ffff:1.2.3.4',
  'ff0e::1::2',
])('refuses %j', (text) => expect(parseAddress(text)).toBeUndefined());

test('IPv6 text is what the URL standard makes of it, and says the same address', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const address = parseAddress(text);
      if (address === undefined) return /^(0*:)*:?(0+:)*ffff:/i.test(text) || text.toLowerCase().includes('ffff');
      return (
        `[${address.text}]` === new URL(`http://[${text}]/`).hostname &&
        parseAddress(address.text)?.text === address.text
      );
    }),
    { numRuns: 2000 },
  );
});

test('IPv4 text is kept and its bytes are its numbers', () => {
  fc.assert(
    fc.property(fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)), (parts) => {
      const address = parseAddress(parts.join('.'));
      return address?.text === parts.join('.') && Array.from(address.bytes).join('.') === address.text;
    }),
  );
});

test.each([
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['ff0e::1', 'multicast'],
  ['10.0.0.1', 'unicast'],
  ['2001:db8::1', 'unicast'],
  ['0.0.0.0', 'reserved'],
  ['0.1.2.3', 'reserved'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'reserved'],
  ['::', 'reserved'],
  ['ff00::1', 'reserved'],
])('%s is %s', (text, kind) => {
  const address = parseAddress(text);
  expect(address && addressKind(address)).toBe(kind);
});

test.each([
  ['224.0.1.128', false],
  ['224.0.1.129', true],
  ['224.0.1.132', true],
  ['224.0.1.133', false],
  ['224.0.0.107', true],
  ['224.0.0.106', false],
  ['ff02::6b', true],
  ['ff05::6b', false],
  ['ff02::16b', false],
  ['ff0e::181', true],
  ['ff02:0::0181', true],
  ['ff1e::181', false],
  ['ff0e::182', false],
  ['ff0e::1:181', false],
])('%s is a PTP group: %s', (text, expected) => {
  const address = parseAddress(text);
  expect(address && isPtpGroup(address)).toBe(expected);
});

test.each([
  ['224.0.0.251', true],
  ['224.0.1.1', false],
  ['ff02::fb', true],
  ['ff12::1', true],
  ['ff05::1', false],
])('the kernel routes %s never: %s', (text, expected) => {
  const address = parseAddress(text);
  expect(address && isUnroutableGroup(address)).toBe(expected);
});
