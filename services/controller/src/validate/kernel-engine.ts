import { addressKind, type IpAddress, isUnroutableGroup, parseAddress } from '@mcfleet/common/address';
import { OversizePolicy, type RelaySpec } from '@mcfleet/proto/mcfleet/v1/relay';
import { MAX_OUTPUTS } from './outputs.ts';
import type { Violations } from './violations.ts';

const ADVICE = 'use engine USERSPACE or AUTO for that';

/**
 * What the kernel's forwarding cache cannot do: it matches source and group, decrements the TTL and changes nothing else
 * (net/ipv4/ipmr.c, `ipmr_queue_xmit`).
 */
export function validateKernelEngine(
  spec: RelaySpec,
  group: IpAddress | undefined,
  path: string,
  violations: Violations,
): void {
  if (spec.input?.port !== undefined) {
    violations.add(
      `${path}.input.port`,
      `engine KERNEL takes every port of a group, because the kernel's routes know no ports: omit the port, or ${ADVICE}`,
    );
  }
  if (spec.input?.vlan !== undefined) {
    violations.add(
      `${path}.input.vlan`,
      `engine KERNEL sees no VLAN tags: omit it and make an interface of the VLAN the input, or ${ADVICE}`,
    );
  }
  if ((spec.input?.excludeSources ?? []).length > 0) {
    violations.add(
      `${path}.input.exclude_sources`,
      `engine KERNEL takes one source or all of them, and cannot leave some out: omit them, or ${ADVICE}`,
    );
  }
  // A value that is wrong by itself says nothing more here; what may not be given at all is told whatever it is.
  const refused = violations.has(`${path}.input.group`) ? undefined : refusedGroup(group);
  if (refused !== undefined) violations.add(`${path}.input.group`, `${refused}: ${ADVICE}`);
  if (spec.rateLimit !== undefined) {
    violations.add(`${path}.rate_limit`, `engine KERNEL passes on all that comes: omit it, or ${ADVICE}`);
  }
  if (spec.loopProtection?.minTtl !== undefined) {
    violations.add(
      `${path}.loop_protection.min_ttl`,
      `engine KERNEL takes every TTL that it can lower: omit it, or ${ADVICE}`,
    );
  }
  spec.outputs.slice(0, MAX_OUTPUTS).forEach((output, i) => {
    const at = `${path}.outputs[${i}]`;
    const address = output.address === '' ? undefined : parseAddress(output.address);
    const isOther = address !== undefined && group !== undefined && address.text !== group.text;
    const rewritten: [string, boolean][] = [
      ['address', isOther && !violations.has(`${at}.address`)],
      ['port', output.port !== undefined],
      ['ttl', output.ttl !== undefined],
      ['source', output.source !== '' && output.source !== 'KEEP' && !violations.has(`${at}.source`)],
      ['dscp', output.dscp !== undefined],
      ['source_port', output.sourcePort !== undefined],
    ];
    for (const [field, wanted] of rewritten) {
      if (!wanted) continue;
      violations.add(`${at}.${field}`, `engine KERNEL cannot rewrite the ${field}: omit it, or ${ADVICE}`);
    }
    if (output.oversize === OversizePolicy.DROP) {
      violations.add(
        `${at}.oversize`,
        `engine KERNEL fragments what is too long and may be cut: omit it, or ${ADVICE}`,
      );
    }
  });
}

/** Why the kernel does not relay a group; undefined if it does. */
function refusedGroup(group: IpAddress | undefined): string | undefined {
  if (group === undefined) return undefined;
  if (addressKind(group) !== 'multicast') return `engine KERNEL relays groups only, and ${group.text} is unicast`;
  if (!isUnroutableGroup(group)) return undefined;
  const range = group.family === 4 ? '224.0.0.0/24' : 'interface-local and link-local scope';
  return `the kernel never routes ${range}, so engine KERNEL cannot relay ${group.text}`;
}
