import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { InstanceState, type Relay, type RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { effectiveEngineText } from './instance-view.ts';
import { adviseLosses } from './loss-advice.ts';
import { bare } from './names.ts';

/** What a person should do about a relay, most urgent first; empty if it is well and carries packets. */
export function advise(relay: Relay, instances: readonly RelayInstance[], nowMs: number): string[] {
  if (instances.length === 0) {
    return ['No host runs it. Compare spec.hosts with: mcfleet get hosts -o wide'];
  }
  const circle = relay.status?.conditions.find(({ type }) => type === 'LoopPossible');
  const advice = instances.flatMap((instance) => [
    ...adviseInstance(instance),
    ...adviseLosses(instance, nowMs),
    ...adviseInputWarning(relay, instance),
    ...adviseWarnings(instance),
  ]);
  const all = circle === undefined ? advice : [...advice, `${circle.message}.`];
  return all.length > 0 ? all : adviseTraffic(relay, instances);
}

function adviseInstance(instance: RelayInstance): string[] {
  const host = bare(instance.host);
  const failing = instance.conditions.filter(({ status }) => status !== ConditionStatus.TRUE);
  if (failing.some(({ reason }) => /NotConnected|Disconnected/.test(reason))) {
    return [
      `${host} is not connected: see that its agent runs (mcfleet agent --name ${host} --controller ADDR). Why it left: mcfleet describe host ${host}`,
    ];
  }
  const missing = failing.find(({ reason }) => reason === 'InterfaceNotFound');
  if (missing !== undefined) return [`${host}: ${missing.message}. What is there: mcfleet describe host ${host}`];
  const loop = instance.conditions.find(({ type }) => type === 'LoopSuspected');
  if (loop !== undefined) return [`${loop.message}.`];
  switch (instance.state) {
    case InstanceState.FAILED:
      return [
        `${host} refused it: ${instance.lastError?.message || 'see its conditions'}. Change the relay and apply it again.`,
      ];
    case InstanceState.UNKNOWN:
      return [`${host} has not answered yet. See whether it is connected: mcfleet get hosts ${host}`];
    case InstanceState.PENDING:
      return [pendingAdvice(host, failing)];
    case InstanceState.DEGRADED:
      return (instance.counters?.outputs ?? [])
        .filter(({ up }) => !up)
        .map(({ output, downReason }) => `${host}: output ${output} does not forward (${downReason}); the others do.`);
    default:
      return [];
  }
}

/** What to do about an input that takes packets, and of which the senders hear something else. */
function adviseInputWarning({ spec }: Relay, { host, counters }: RelayInstance): string[] {
  const { group = '', port } = spec?.input ?? {};
  const name = bare(host);
  switch (counters?.warning ?? '') {
    case '':
      return [];
    case 'PortInUse':
      return [
        `${name}: a program there listens on port ${port} of ${group} as well, and gets the packets too. Which one: ss -ulnp 'sport = :${port}'`,
      ];
    case 'PortUnreachable':
      return [
        port === undefined
          ? `${name} relays what comes to ${group} and also answers the senders "port unreachable" where no program listens, for no port can ` +
            'be held for them all: give the input its port, or have a firewall there drop those answers (icmp type 3 code 3, icmpv6 type 1 code 4).'
          : `${name} relays what comes to ${group} and also answers the senders "port unreachable", for port ${port} cannot be held there: ` +
            'see that the data plane may bind it (CAP_NET_BIND_SERVICE below 1024).',
      ];
    default:
      return [`${name}: its input takes packets with a warning: ${counters?.warning}.`];
  }
}

/** What to do about outputs that forward, and not as their relay is probably meant. */
function adviseWarnings(instance: RelayInstance): string[] {
  const host = bare(instance.host);
  return (instance.counters?.outputs ?? []).flatMap(({ output, up, warning }) => {
    // What an interface loses is told as a loss.
    if (!up || warning === '' || warning === 'InterfaceDrops') return [];
    if (warning !== 'LinkLocalSource') return [`${host}: output ${output} forwards with a warning: ${warning}.`];
    return [
      `${host}: output ${output} sends from a link-local address, for its interface has no other one, and routers do not pass that on: ` +
        'give the interface a global IPv6 address, or set the source of the output.',
    ];
  });
}

function pendingAdvice(host: string, failing: readonly Condition[]): string {
  const { message = '' } = failing.find(({ type }) => type === 'Ready') ?? {};
  return message === '' ? `${host} waits; it starts by itself when what it waits for comes.` : `${host}: ${message}.`;
}

/** A relay that is ready everywhere and still carries nothing. */
function adviseTraffic(relay: Relay, instances: readonly RelayInstance[]): string[] {
  const { input } = relay.spec ?? {};
  return instances
    .filter(({ counters }) => counters !== undefined && counters.rxPackets === 0n)
    .map((instance) => {
      const kernel =
        effectiveEngineText(instance) === 'KERNEL' ? ' The kernel engine also drops what rp_filter refuses.' : '';
      const port = input?.port === undefined ? '' : ` and udp port ${input.port}`;
      return `${bare(instance.host)} is ready and has seen no packet. Look there: tcpdump -ni ${input?.interface} 'dst host ${input?.group}${port}'.${kernel}`;
    });
}
