import { isIP } from 'node:net';
import { FleetError } from './error.ts';

/** Where a server listens, or where a client finds it. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** INVALID_ARGUMENT (gRPC); the library is not loaded for a number. */
const INVALID_ARGUMENT = 3;

/** sun_path of sockaddr_un(7) holds 108 bytes with the final zero. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Reads "HOST:PORT", "[IPV6]:PORT" or "unix:PATH".
 *
 * @throws FleetError INVALID_ARGUMENT, reason INVALID_ADDRESS
 */
export function parseListenAddress(text: string): Address {
  if (text.startsWith('unix:')) return parseSocketPath(text.slice('unix:'.length).replace(/^\/\/(?=\/)/, ''));
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]\s/]+)):(?<port>\d{1,5})$/.exec(text);
  const host = match?.groups?.v6 ?? match?.groups?.name;
  const port = Number(match?.groups?.port);
  if (host === undefined || port > 65_535 || (match?.groups?.v6 !== undefined && isIP(host) !== 6)) {
    throw invalidAddress(text, 'write HOST:PORT with a port from 0 to 65535, [IPV6]:PORT, or unix:PATH');
  }
  return { kind: 'tcp', host, port };
}

/** The address as `parseListenAddress` reads it. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/**
 * Without certificates everybody who reaches a listener may use it, so only programs on this machine may reach it.
 *
 * @throws FleetError INVALID_ARGUMENT, reason INSECURE_LISTENER, if others can reach `address` and `insecure` is false
 */
export function assertMayListen(address: Address, options: { readonly insecure: boolean }): void {
  if (address.kind === 'unix' || options.insecure || isLoopback(address.host)) return;
  throw new FleetError({
    code: INVALID_ARGUMENT,
    reason: 'INSECURE_LISTENER',
    message: `${formatAddress(address)} can be reached from other machines, and there is no certificate: listen on 127.0.0.1, or pass --insecure if the network is trusted`,
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function parseSocketPath(path: string): Address {
  const bytes = Buffer.byteLength(path);
  if (bytes === 0 || bytes > MAX_SOCKET_PATH_BYTES || path.includes('\0')) {
    throw invalidAddress(
      `unix:${path}`,
      `the path of a unix socket has 1 to ${MAX_SOCKET_PATH_BYTES} bytes, this has ${bytes}`,
    );
  }
  return { kind: 'unix', path };
}

function invalidAddress(text: string, rule: string): FleetError {
  return new FleetError({
    code: INVALID_ARGUMENT,
    reason: 'INVALID_ADDRESS',
    message: `'${text}' is not an address: ${rule}`,
  });
}
