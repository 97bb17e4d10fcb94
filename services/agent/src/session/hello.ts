import type { InterfaceFacts } from '@mcfleet/native';
import type { Hello } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { type HeldState, hashOf } from '../cache/held-state.ts';
import type { HostFacts } from '../inventory/host-facts.ts';
import { toNetworkInterface } from '../inventory/interface-facts.ts';

/** Above this many relays Hello leaves them out, and the controller compares by the state's hash alone. */
const MAX_KNOWN = 2_000;

/** What does not change while the agent runs. */
export interface AgentIdentity {
  /** The host's name. */
  readonly name: string;
  /** UUIDv7 of this process. */
  readonly instanceUid: string;
  readonly version: string;
  readonly startTime: Date;
  readonly hostFacts: HostFacts;
  readonly labels: Readonly<Record<string, string>>;
}

/** Who the agent is and what it holds, at this moment. */
export function makeHello({
  identity,
  held,
  capabilities,
  interfaces,
}: {
  readonly identity: AgentIdentity;
  readonly held: HeldState;
  readonly capabilities: readonly string[];
  readonly interfaces: readonly InterfaceFacts[];
}): Hello {
  const known = [...held.assignments.values()];
  return {
    host: identity.name,
    instanceUid: identity.instanceUid,
    protocolMin: 1,
    protocolMax: 1,
    agentVersion: identity.version,
    bootId: identity.hostFacts.bootId,
    startTime: identity.startTime,
    kernel: identity.hostFacts.kernel,
    capabilities: [...capabilities],
    labels: { ...identity.labels },
    clusterUid: held.clusterUid,
    highestTerm: held.term,
    appliedRevision: held.revision,
    stateHash: hashOf(held),
    known:
      known.length > MAX_KNOWN
        ? []
        : known.map(({ uid, generation, contentHash }) => ({ uid, generation, contentHash })),
    inventory: { interfaces: interfaces.map(toNetworkInterface) },
  };
}
