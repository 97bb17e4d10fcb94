import fc from 'fast-check';
import { expect, test } from 'vitest';
import { classifyAddress } from './address.ts';

test.each([
  ['224.0.0.0', { family: 4, kind: 'multicast' }],
  ['239.255.255.255', { family: 4, kind: 'multicast' }],
  ['223.255.255.255', { family: 4, kind: 'unicast' }],
  ['10.0.0.1', { family: 4, kind: 'unicast' }],
  ['127.0.0.1', { family: 4, kind: 'unicast' }],
  ['ff02::1', { family: 6, kind: 'multicast' }],
  ['FF3E::8000:1', { family: 6, kind: 'multicast' }],
  ['fe80::1', { family: 6, kind: 'unicast' }],
])('%s', (text, expected) => {
  expect(classifyAddress(text)).toEqual(expected);
});

test.each([
  '0.0.0.0',
  '0.1.2.3',
  '255.255.255.255',
  '240.0.0.1',
  '::',
  '::ffff:239.1.1.1',
  '::FFFF:ef01:0101',
  'fe80::1%eth0',
  '239.1.1',
  '239.001.1.1',
  '239.1.1.256',
  ' 239.1.1.1',
  '239.1.1.1/32',
  'localhost',
  '',
])('%j is refused, with the reason', (text) => {
  expect(classifyAddress(text)).toContain(`'${text}'`);
});

test('every IPv4 address is what its first octet says', () => {
  fc.assert(
    fc.property(fc.ipV4(), (text) => {
      const first = Number(text.split('.')[0]);
      const result = classifyAddress(text);
      if (first === 0 || first >= 240) expect(result).toBeTypeOf('string');
      else expect(result).toEqual({ family: 4, kind: first >= 224 ? 'multicast' : 'unicast' });
    }),
  );
});
