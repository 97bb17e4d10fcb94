import type { WatchHostsResponse } from '@mcfleet/proto/mcfleet/v1/fleet_service';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay, RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import type { WatchRelayInstancesResponse, WatchRelaysResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';
import type { Connection } from './connection.ts';
import type { WatchSource } from './watch.ts';

type Labels = Record<string, string>;

/** How often `get instances -w` is told about changed counters, in seconds. */
const countersIntervalSeconds = 1n;

export function relaySource(connection: Connection, labelSelector: Labels): WatchSource<Relay, WatchRelaysResponse> {
  return {
    open: (resumeToken) =>
      connection.relays.watchRelays({ labelSelector, resumeToken, sendInitial: resumeToken === '' }),
    read: ({ events, resumeToken }) => ({
      events: events.map(({ type, relay, suppressed }) => ({ type, object: relay, suppressed })),
      resumeToken,
    }),
    keyOf: ({ name }) => name,
    encode: (relay) => Relay.encode(relay).finish(),
  };
}

export function hostSource(connection: Connection, labelSelector: Labels): WatchSource<Host, WatchHostsResponse> {
  return {
    open: () => connection.fleet.watchHosts({ labelSelector, sendInitial: true }),
    read: ({ events }) => ({
      events: events.map(({ type, host, suppressed }) => ({ type, object: host, suppressed })),
      resumeToken: '',
    }),
    keyOf: ({ name }) => name,
    encode: (host) => Host.encode(host).finish(),
  };
}

export function instanceSource(
  connection: Connection,
  parent: string,
): WatchSource<RelayInstance, WatchRelayInstancesResponse> {
  const countersInterval = { seconds: countersIntervalSeconds, nanos: 0 };
  return {
    open: () => connection.relays.watchRelayInstances({ parent, sendInitial: true, countersInterval }),
    read: ({ events }) => ({
      events: events.map(({ type, relayInstance, suppressed }) => ({ type, object: relayInstance, suppressed })),
      resumeToken: '',
    }),
    keyOf: ({ name }) => name,
    encode: (instance) => RelayInstance.encode(instance).finish(),
  };
}
