import type { InterfaceFacts } from '@mcfleet/native';
import { describe, expect, it } from 'vitest';
import { sourceAddress, staysOnLink } from './source-address.ts';

function facts(...addresses: string[]): InterfaceFacts {
  return {
    name: 'out0',
    index: 5,
    mac: '',
    mtu: 1500,
    flags: 0x10001,
    type: 1,
    operState: 'up',
    kind: 'veth',
    addresses,
  };
}

const all = facts('192.0.2.5/24', '192.0.2.6/24', 'fe80::5/64', 'fd00:5::5/64', '2001:db8:1::5/64', '2001:db8:2::5/64');

describe('sourceAddress', () => {
  it.each([
    ['239.1.1.1', '192.0.2.5'],
    ['10.0.0.1', '192.0.2.5'],
    // Groups of every scope but those that stay on the link.
    ['ff3e::8000:1', '2001:db8:1::5'],
    ['ff05::1:3', '2001:db8:1::5'],
    ['ff02::fb', 'fe80::5'],
    ['ff12::1', 'fe80::5'],
    // Hosts: the address of their network, or of their kind.
    ['2001:db8:2::9', '2001:db8:2::5'],
    ['2001:db8:1::9', '2001:db8:1::5'],
    ['2a00::1', '2001:db8:1::5'],
    ['fd00:77::1', 'fd00:5::5'],
    ['fe80::1', 'fe80::5'],
  ])('to %s is %s', (destination, source) => {
    expect(sourceAddress(all, destination)).toBe(source);
  });

  it('is of the wrong scope where there is no other', () => {
    expect(sourceAddress(facts('fe80::5/64'), 'ff3e::1')).toBe('fe80::5');
    expect(sourceAddress(facts('2001:db8::5/64'), 'ff02::1')).toBe('2001:db8::5');
    expect(sourceAddress(facts('fe80::5/64', 'fd00::5/64'), 'ff3e::1')).toBe('fd00::5');
  });

  it.each([
    ['fe80::5', 'ff3e::1', true],
    ['fe80::5', '2001:db8::1', true],
    ['fe80::5', 'ff02::1', false],
    ['fe80::5', 'fe80::9', false],
    ['2001:db8::5', 'ff3e::1', false],
    ['fd00::5', 'ff3e::1', false],
    ['192.0.2.5', '239.1.1.1', false],
  ])('%s to %s keeps what should leave the link on it: %s', (source, destination, stays) => {
    expect(staysOnLink(source, destination)).toBe(stays);
  });

  it('is missing where the interface has none of that family', () => {
    expect(sourceAddress(facts('192.0.2.5/24'), 'ff3e::1')).toMatchObject({
      reason: 'NoInterfaceAddress',
      message: expect.stringContaining('out0 has no IPv6 address'),
    });
    expect(sourceAddress(facts('fe80::5/64'), '239.1.1.1')).toMatchObject({
      message: expect.stringContaining('no IPv4 address'),
    });
  });
});
