import { NetworkInterface } from '@mcfleet/proto/mcfleet/v1/host';
import { expect, test } from 'vitest';
import { interfaceNetworks, sameNetworks } from './interface-networks.ts';

const withAddresses = (...addresses: string[]): NetworkInterface =>
  NetworkInterface.fromPartial({ index: 2, name: 'eth0', addresses });

test('networks are those of addresses, once each; link-local ones and the loopback tell none', () => {
  const told = interfaceNetworks(
    withAddresses('192.0.2.7/24', '192.0.2.8/24', '10.9.200.1/18', '2001:db8::7/64', 'fe80::1/64', '169.254.3.4/16'),
  );
  expect(told.networks).toEqual(['10.9.192.0/18', '192.0.2.0/24', '2001:db8::/64']);
  expect(told.addresses).toHaveLength(6);
  expect(interfaceNetworks(withAddresses('127.0.0.1/8', '::1/128', '192.0.2.1/32')).networks).toEqual([]);
  expect(interfaceNetworks(undefined)).toEqual({ addresses: [], networks: [] });
});

test('addresses are as specs have them, with a prefix length or without', () => {
  const { addresses } = interfaceNetworks(withAddresses('192.0.2.7/24', '2001:DB8:0:0::0007/64', '10.0.0.1'));
  expect(addresses).toEqual(['192.0.2.7', '2001:db8::7', '10.0.0.1']);
});

test('readings are the same if addresses and names are', () => {
  const [a, b] = [withAddresses('192.0.2.7/24'), withAddresses('192.0.2.8/24')];
  expect(sameNetworks([a], [{ ...a, mtu: 9000 }])).toBe(true);
  expect(sameNetworks([a], [b])).toBe(false);
  expect(sameNetworks([a], [])).toBe(false);
});
