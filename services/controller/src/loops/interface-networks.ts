import { addressOf, parseAddress } from '@mcfleet/common/address';
import type { NetworkInterface } from '@mcfleet/proto/mcfleet/v1/host';
import type { InterfaceNetworks } from './channels.ts';

/** Link-local networks and the loopback say nothing about where an interface is. */
const EVERYWHERE = /^(127\.|169\.254\.|fe[89ab]|::1)/;

/** What an interface's addresses say of the networks that it is on. */
export function interfaceNetworks(networkInterface: NetworkInterface | undefined): InterfaceNetworks {
  const own = networkInterface?.addresses ?? [];
  return {
    addresses: own.map((text) => canonical(text.split('/')[0] ?? '')),
    networks: [...new Set(own.flatMap((text) => networkOf(text) ?? []))].sort(),
  };
}

/** Whether two readings of a host's interfaces say the same of their networks. */
export function sameNetworks(a: readonly NetworkInterface[], b: readonly NetworkInterface[]): boolean {
  const text = (all: readonly NetworkInterface[]): string =>
    JSON.stringify(all.map(({ name, addresses }) => [name, addresses]));
  return text(a) === text(b);
}

/** As specs have it. */
function canonical(address: string): string {
  return parseAddress(address)?.text ?? address;
}

/** "192.0.2.0/24" of "192.0.2.7/24"; undefined if it says nothing. */
function networkOf(text: string): string | undefined {
  const [address = '', length = ''] = text.split('/');
  const parsed = parseAddress(address);
  if (parsed === undefined || EVERYWHERE.test(parsed.text)) return undefined;
  const bits = Number(length);
  const { bytes } = parsed;
  if (bits === 0 || bits >= bytes.length * 8) return undefined;
  const masked = bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))) & 0xff);
  return `${addressOf(masked).text}/${bits}`;
}
