import type { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { atTransition, type Observation, statusOf } from './conditions.ts';
import type { HostFacts } from './host-book.ts';

/** Whether one did before observations were kept cannot be told. */
const NEVER_MET = 'no agent of this host is known to have connected';

/** The host with its status, without what changes all the time (Fleet.withLastSeen). `relays` is how many it shall run. */
export function hostView(host: Host, facts: HostFacts, relays: number, previous: Host | undefined, now: Date): Host {
  const { agentVersion, kernel, bootId, appliedRevision, desiredRevision, stateHash } = facts;
  const sameHost = previous?.uid === host.uid;
  return {
    ...host,
    status: {
      connected: facts.connected,
      sessionId: facts.sessionId,
      lastSeenTime: undefined,
      agentVersion,
      kernel,
      bootId,
      capabilities: [...facts.capabilities],
      agentLabels: host.status?.agentLabels ?? {},
      interfaces: [...facts.interfaces],
      receiving: [...facts.receiving],
      sending: [...facts.sending],
      options: facts.options,
      workers: [],
      conditions: atTransition(observe(facts), sameHost ? previous.status?.conditions : undefined, now),
      appliedRevision,
      desiredRevision,
      stateHash,
      relays,
      inputs: [],
      outputs: [],
    },
  };
}

function observe(facts: HostFacts): Observation[] {
  const { connected, disconnectReason, health, duplicateAgent, otherCluster } = facts;
  const observedGeneration = 0n;
  const isKnown = connected && health !== undefined;
  const away = { reason: 'HostNotConnected', message: disconnectReason || NEVER_MET };
  const waiting = connected ? { reason: 'NotReported', message: 'no heartbeat has come yet' } : away;
  const observation = (type: string, holds: boolean | undefined, reason: string, message: string): Observation => ({
    type,
    status: statusOf(holds),
    observedGeneration,
    reason,
    message,
  });
  const connection = connected
    ? observation('Connected', true, 'SessionOpen', 'the agent is connected')
    : observation('Connected', false, away.reason, away.message);
  const duplicate =
    duplicateAgent === undefined
      ? []
      : [
          observation(
            'DuplicateAgent',
            duplicateAgent.holds,
            duplicateAgent.holds ? 'SameNameTwice' : 'OneAgent',
            duplicateAgent.message,
          ),
        ];
  const other = otherCluster === '' ? [] : [observation('OtherCluster', true, 'StateOfAnotherCluster', otherCluster)];
  if (!isKnown) {
    const unknown = (type: string): Observation => observation(type, undefined, waiting.reason, waiting.message);
    return [connection, unknown('DataplaneHealthy'), unknown('StateSaved'), ...duplicate, ...other];
  }
  const own = [
    connection,
    health.dataplaneHealthy
      ? observation('DataplaneHealthy', true, 'Answering', 'the data plane answers')
      : observation('DataplaneHealthy', false, health.dataplaneReason || 'NotAnswering', health.dataplaneMessage),
    health.storageMessage === ''
      ? observation('StateSaved', true, 'Written', 'the host keeps its relays over a reboot')
      : observation('StateSaved', false, 'WriteFailed', health.storageMessage),
    ...duplicate,
    ...other,
  ];
  return [...own, ...told(facts, own)];
}

/** What the agent tells besides. It has no say in what the controller sees itself, and each type is there once. */
function told(facts: HostFacts, own: readonly Observation[]): Observation[] {
  const types = new Set([...own.map(({ type }) => type), 'DuplicateAgent', 'OtherCluster', '']);
  const observations: Observation[] = [];
  for (const { type, reason, message } of facts.told) {
    if (types.has(type)) continue;
    types.add(type);
    observations.push({ type, status: statusOf(true), observedGeneration: 0n, reason, message });
  }
  return observations;
}
