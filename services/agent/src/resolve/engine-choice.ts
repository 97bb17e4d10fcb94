import { isIPv6 } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { OversizePolicy, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { isLinkLocalGroup, isMulticast } from './address.ts';
import type { Problem } from './problem.ts';

/** What the host's data plane calls its kernel engine in StatusResponse.capabilities. */
const KERNEL_ENGINES = { 4: 'engine.kernel.v4', 6: 'engine.kernel.v6' } as const;

/** The engine that shall forward a relay on this host, and why that one as a stable code (RelayInstance.engine_reason). */
export interface EngineChoice {
  readonly engine: RelayEngine;
  readonly reason: string;
}

/**
 * Chooses the engine. AUTO means userspace: the kernel's forwarding cache is used on request. What that cannot do is told by the first
 * reason that applies, so that an operator who wants the kernel engine knows what to change.
 */
export function chooseEngine(relay: ResolvedRelay, capabilities: ReadonlySet<string>): EngineChoice | Problem {
  const family = isIPv6(relay.input?.group ?? '') ? 6 : 4;
  switch (relay.engine) {
    case RelayEngine.USERSPACE:
      return { engine: RelayEngine.USERSPACE, reason: 'REQUESTED' };
    case RelayEngine.KERNEL:
      if (capabilities.has(KERNEL_ENGINES[family])) return { engine: RelayEngine.KERNEL, reason: 'REQUESTED' };
      return {
        code: status.FAILED_PRECONDITION,
        reason: 'EngineUnavailable',
        message:
          `the data plane of this host has no kernel engine for IPv${family}: it was started without CAP_NET_ADMIN, or the kernel was built ` +
          'without multicast routing; set spec.engine to AUTO or USERSPACE',
      };
    case RelayEngine.AUTO:
    case RelayEngine.UNSPECIFIED:
      return { engine: RelayEngine.USERSPACE, reason: whyNotKernel(relay, capabilities.has(KERNEL_ENGINES[family])) };
    default:
      return {
        code: status.UNIMPLEMENTED,
        reason: 'EngineUnknown',
        message: `this agent does not know the engine ${relay.engine}; upgrade it, or set spec.engine to AUTO`,
      };
  }
}

function whyNotKernel(relay: ResolvedRelay, available: boolean): string {
  const group = relay.input?.group ?? '';
  if (!isMulticast(group)) return 'UNICAST_INPUT';
  if (relay.input?.vlan !== undefined) return 'VLAN_REQUESTED';
  if ((relay.input?.excludeSources ?? []).length > 0) return 'SOURCES_EXCLUDED';
  if (relay.rateLimit !== undefined) return 'RATE_LIMITED';
  if (relay.loopProtection?.minTtl !== undefined) return 'MIN_TTL_REQUESTED';
  for (const output of relay.outputs) {
    const address = output.address || group;
    if (!isMulticast(address)) return 'UNICAST_OUTPUT';
    const rewrites =
      address !== group ||
      (output.port !== undefined && output.port !== relay.input?.port) ||
      output.ttl !== undefined ||
      output.dscp !== undefined ||
      output.sourcePort !== undefined ||
      output.oversize === OversizePolicy.DROP ||
      (output.source !== '' && output.source !== 'KEEP');
    if (rewrites) return 'REWRITE_REQUESTED';
  }
  // The forwarding cache knows sources and groups, no ports: it would forward more than was asked for.
  if (relay.input?.port !== undefined) return 'PORT_REQUESTED';
  // The kernel never routes 224.0.0.0/24 on (net/ipv4/route.c, ipv4_is_local_multicast).
  if (isLinkLocalGroup(group)) return 'LINK_LOCAL_GROUP';
  return available ? 'KERNEL_ON_REQUEST' : 'KERNEL_ENGINE_UNAVAILABLE';
}
