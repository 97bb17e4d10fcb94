import { FleetError } from '@mcfleet/common/error';
import type { Logger } from '@mcfleet/common/log';
import { RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay, RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import type { Observation } from '../store/observations.ts';
import type { HostFacts } from './host-book.ts';
import type { InstanceRecord } from './instance-book.ts';

/** What was known when the controller last ran, by the keys of the fleet's boards. */
export interface Observed {
  readonly hosts: ReadonlyMap<string, Host>;
  /** Without their spec. */
  readonly relays: ReadonlyMap<string, Relay>;
  readonly instances: ReadonlyMap<string, RelayInstance>;
  /** The last answer for an instance. */
  readonly results: ReadonlyMap<string, RelayResult>;
}

/** Of a controller that never ran. */
export const NOTHING_OBSERVED: Observed = {
  hosts: new Map(),
  relays: new Map(),
  instances: new Map(),
  results: new Map(),
};

/** Why a host is not connected whose session did not end before the controller did. */
export const CONTROLLER_STOPPED = 'its session ended with the controller, and the agent has not come back since';

/** Reads what was kept. What cannot be read is told and passed over: agents tell it again. */
export function readObserved(observations: readonly Observation[], log: Logger): Observed {
  const hosts = new Map<string, Host>();
  const relays = new Map<string, Relay>();
  const instances = new Map<string, RelayInstance>();
  const results = new Map<string, RelayResult>();
  for (const { kind, key, value } of observations) {
    try {
      if (kind === 'host') hosts.set(key, Host.decode(value));
      else if (kind === 'relay') relays.set(key, Relay.decode(value));
      else if (kind === 'instance') instances.set(key, RelayInstance.decode(value));
      else results.set(key, RelayResult.decode(value));
    } catch (thrown) {
      const detail = FleetError.from(thrown).message;
      log.warn({ kind, key, detail }, 'what was last known of it cannot be read and is forgotten');
    }
  }
  return { hosts, relays, instances, results };
}

/** The facts of a host that is not connected (yet), from how it was last shown. */
export function factsOf({ status }: Host): Partial<HostFacts> {
  if (status === undefined) return {};
  const { agentVersion, kernel, bootId, capabilities, interfaces, receiving, sending, options } = status;
  const { appliedRevision, desiredRevision, stateHash } = status;
  const connection = status.conditions.find(({ type }) => type === 'Connected');
  return {
    connected: false,
    disconnectReason: status.connected ? CONTROLLER_STOPPED : (connection?.message ?? ''),
    ...{ agentVersion, kernel, bootId, capabilities, interfaces, receiving, sending, options },
    ...{ appliedRevision, desiredRevision, stateHash },
  };
}

/** What a host last said of a relay, from how that was last shown; undefined if it said nothing. */
export function recordOf(shown: RelayInstance, result: RelayResult | undefined): InstanceRecord | undefined {
  const answeredGeneration = result?.generation ?? shown.conditions[0]?.observedGeneration ?? 0n;
  if (answeredGeneration === 0n) return undefined;
  const { appliedGeneration } = shown;
  return {
    appliedGeneration,
    answeredGeneration,
    result,
    counters: undefined,
    countersTime: undefined,
    isCounted: false,
  };
}
