import { isIPv4 } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { InterfaceFacts } from '@mcfleet/native';
import type { RelayInput } from '@mcfleet/proto/mcfleet/v1/relay';
import { isMulticast, withoutPrefix } from './address.ts';
import type { InterfacesByName } from './local-interfaces.ts';
import type { Problem } from './problem.ts';

/**
 * Why nothing is sent to the input's address on this host, or undefined if something may be. It need not be on the input interface
 * itself: a host takes packets to each of its addresses on every interface (RFC 1122, section 3.3.4.2).
 */
export function inputAddressProblem(input: RelayInput, interfaces: InterfacesByName): Problem | undefined {
  if (isMulticast(input.group)) return undefined;
  for (const { addresses } of interfaces.values()) {
    if (addresses.some((address) => withoutPrefix(address) === input.group)) return undefined;
  }
  return {
    code: status.FAILED_PRECONDITION,
    reason: 'AddressNotLocal',
    message:
      `input address ${input.group} is neither a group nor an address of this host, so nothing sent to it is for this host on ` +
      `${input.interface}; forwarding starts by itself when the host has it: ip address add ${input.group}/PREFIX dev ${input.interface}`,
  };
}

/** Why an output cannot send to an address, or undefined if it may. */
export function outputAddressProblem(address: string, facts: InterfaceFacts): Problem | undefined {
  if (!facts.addresses.some((own) => directedBroadcast(own) === address)) return undefined;
  return {
    code: status.FAILED_PRECONDITION,
    reason: 'BroadcastAddress',
    message: `output address ${address} is the broadcast address of ${facts.name}; outputs send to groups and to single hosts`,
  };
}

/** 10.2.0.255 of "10.2.0.1/24"; undefined for IPv6, and for networks of one or two addresses (RFC 3021). */
export function directedBroadcast(cidr: string): string | undefined {
  const [address = '', prefix = ''] = cidr.split('/');
  const length = Number(prefix);
  if (!isIPv4(address) || prefix === '' || length > 30) return undefined;
  const value = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const size = 2 ** (32 - length);
  const last = Math.floor(value / size) * size + size - 1;
  return [24, 16, 8, 0].map((shift) => Math.floor(last / 2 ** shift) % 256).join('.');
}
