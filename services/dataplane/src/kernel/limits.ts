import { isUnroutableGroup, parseAddress } from '@mcfleet/common/address';
import type { ProgrammedOutput, ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { OversizePolicy } from '@mcfleet/proto/mcfleet/v1/relay';
import { classifyAddress } from '../address.ts';

/** What of a relay the kernel engine cannot do: the field, and what follows its name in a sentence. */
export interface KernelLimit {
  readonly field: string;
  readonly description: string;
}

const ADVICE = 'use the userspace engine for that';

/**
 * Everything in a relay that the kernel's forwarding cache cannot do: it matches source and group, lowers the TTL and changes nothing
 * else (net/ipv4/ipmr.c, `ipmr_queue_xmit`). Pure; fields that are wrong in themselves are not its business.
 */
export function kernelLimits(relay: ProgrammedRelay): KernelLimit[] {
  const limits: KernelLimit[] = [];
  const refuse = (field: string, why: string): void => {
    limits.push({ field, description: `${why}; ${ADVICE}` });
  };
  const group = parseAddress(relay.group);
  const kind = classifyAddress(relay.group);
  if (typeof kind !== 'string' && kind.kind === 'unicast') {
    refuse('group', `'${relay.group}' is unicast, and the kernel's multicast routes take groups`);
  }
  if (group !== undefined && isUnroutableGroup(group)) {
    refuse('group', `'${relay.group}' is of link-local scope, which the kernel never routes`);
  }
  if (relay.port !== undefined) refuse('port', "is given, and the kernel's multicast routes know no ports");
  if (relay.vlan !== undefined) refuse('vlan', "is given, and the kernel's multicast routes see no tags");
  if (relay.excludeSources.length > 0) {
    refuse('exclude_sources', 'is given, and the kernel takes some sources or any, and leaves none out');
  }
  if (relay.rateLimit !== undefined) refuse('rate_limit', 'is given, and the kernel passes on all that comes');
  if (relay.loopProtection?.minTtl !== undefined) {
    refuse('loop_protection.min_ttl', 'is given, and the kernel takes every TTL that it can lower');
  }
  const interfaces = new Map<number, number>();
  for (const [index, output] of relay.outputs.entries()) {
    const at = `outputs[${index}]`;
    for (const field of rewritten(output, relay.group)) {
      refuse(`${at}.${field}`, 'is given, and the kernel rewrites nothing but the TTL, which it lowers by one');
    }
    if (output.oversize === OversizePolicy.DROP) {
      refuse(`${at}.oversize`, 'is DROP, and the kernel fragments what is too long and may be cut');
    }
    const first = interfaces.get(output.ifindex);
    if (output.ifindex !== 0 && first !== undefined) {
      refuse(`${at}.ifindex`, `is that of outputs[${first}] too, and the kernel sends one copy to an interface`);
    }
    interfaces.set(output.ifindex, first ?? index);
  }
  return limits;
}

function rewritten(output: ProgrammedOutput, group: string): string[] {
  const wanted: readonly (readonly [field: string, given: boolean])[] = [
    ['address', output.address !== group],
    ['port', output.port !== undefined],
    ['ttl', output.ttl !== undefined],
    ['source', output.source !== ''],
    ['dscp', output.dscp !== undefined],
    ['source_port', output.sourcePort !== undefined],
  ];
  return wanted.filter(([, given]) => given).map(([field]) => field);
}
