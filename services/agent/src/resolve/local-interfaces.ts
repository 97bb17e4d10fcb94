import { status } from '@grpc/grpc-js';
import type { InterfaceFacts } from '@mcfleet/native';
import type { Problem } from './problem.ts';

/** linux/if.h */
const IFF_UP = 0x1;
const IFF_LOWER_UP = 0x10000;

/** The interfaces of this host by name. Names are unique in a network namespace; an interface created again has another index. */
export type InterfacesByName = ReadonlyMap<string, InterfaceFacts>;

export function byName(interfaces: readonly InterfaceFacts[]): InterfacesByName {
  return new Map(interfaces.map((facts) => [facts.name, facts]));
}

/** What an interface is to a relay. */
export type Direction = 'input' | 'output';

export function notFound(direction: Direction, name: string): Problem {
  return {
    code: status.FAILED_PRECONDITION,
    reason: 'InterfaceNotFound',
    message: `${direction} interface ${name} does not exist on this host; forwarding starts by itself when it comes`,
  };
}

/** Why no packet can pass an interface that exists, or undefined if nothing is known to hinder it. */
export function linkProblem(direction: Direction, facts: InterfaceFacts): Problem | undefined {
  if ((facts.flags & IFF_UP) === 0) {
    return {
      code: status.FAILED_PRECONDITION,
      reason: 'InterfaceDown',
      message: `${direction} interface ${facts.name} is down; set it up: ip link set ${facts.name} up`,
    };
  }
  if ((facts.flags & IFF_LOWER_UP) === 0) {
    return {
      code: status.FAILED_PRECONDITION,
      reason: 'NoCarrier',
      message: `${direction} interface ${facts.name} has no carrier (${facts.operState}); check its cable, peer or ports`,
    };
  }
  return undefined;
}
