import { FleetError } from './error.ts';
import { quote } from './quote.ts';

/** {relay} of "relays/{relay}": a label as in RFC 1034. */
export const RELAY_ID_PATTERN = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** {host} of "hosts/{host}": host names, fully qualified ones too. */
export const HOST_ID_PATTERN = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** INVALID_ARGUMENT (gRPC); the library is not loaded for a number. */
const INVALID_ARGUMENT = 3;

/** "relays/{id}". */
export function relayName(id: string): string {
  return `relays/${id}`;
}

/** "hosts/{id}". */
export function hostName(id: string): string {
  return `hosts/${id}`;
}

/** "hosts/{host}/relayInstances/{relay}". */
export function relayInstanceName(hostId: string, relayId: string): string {
  return `hosts/${hostId}/relayInstances/${relayId}`;
}

/**
 * The id in "relays/{id}" or bare "{id}".
 *
 * @throws FleetError INVALID_ARGUMENT, reason INVALID_NAME
 */
export function parseRelayName(name: string): string {
  return parseName(name, 'relays/', RELAY_ID_PATTERN, 'relay');
}

/**
 * The id in "hosts/{id}" or bare "{id}".
 *
 * @throws FleetError INVALID_ARGUMENT, reason INVALID_NAME
 */
export function parseHostName(name: string): string {
  return parseName(name, 'hosts/', HOST_ID_PATTERN, 'host');
}

/**
 * Host and relay of "hosts/{host}/relayInstances/{relay}".
 *
 * @throws FleetError INVALID_ARGUMENT, reason INVALID_NAME
 */
export function parseRelayInstanceName(name: string): { readonly hostId: string; readonly relayId: string } {
  const [hosts, hostId = '', relayInstances, relayId = '', ...rest] = name.split('/');
  if (hosts !== 'hosts' || relayInstances !== 'relayInstances' || rest.length > 0) {
    throw invalidName(
      name,
      `${quote(name)} is not a relay instance; it looks like hosts/edge-1/relayInstances/camera-7`,
    );
  }
  return { hostId: parseHostName(hostId), relayId: parseRelayName(relayId) };
}

function parseName(name: string, prefix: string, pattern: RegExp, what: string): string {
  const id = name.startsWith(prefix) ? name.slice(prefix.length) : name;
  if (!pattern.test(id)) {
    throw invalidName(
      name,
      `${quote(name)} is not the name of a ${what}: ${what === 'relay' ? RELAY_RULE : HOST_RULE}`,
    );
  }
  return id;
}

const RELAY_RULE =
  'lower-case letters, digits and hyphens, at most 63, the first a letter, the last a letter or digit, as in camera-7';
const HOST_RULE =
  'lower-case letters, digits, dots and hyphens, at most 253, the first and the last a letter or digit, as in edge-1.example';

function invalidName(name: string, message: string): FleetError {
  return new FleetError({
    code: INVALID_ARGUMENT,
    reason: 'INVALID_NAME',
    message,
    metadata: { name: name.slice(0, 300) },
  });
}
