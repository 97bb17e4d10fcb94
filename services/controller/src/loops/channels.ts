import { RelayEngine, type RelayInput, type RelayOutput } from '@mcfleet/proto/mcfleet/v1/relay';
import type { Exclusions } from './exclusions.ts';

/** What is known of an interface of a host. */
export interface InterfaceNetworks {
  /** Networks that its addresses are of, "192.0.2.0/24"; empty: not known. */
  readonly networks: readonly string[];
  /** Its addresses, without prefix length. */
  readonly addresses: readonly string[];
}

/** An input or output of a relay on one host. */
export interface End<Spec> {
  readonly host: string;
  readonly spec: Spec;
  readonly known: InterfaceNetworks;
}

/** What matters of the relay that an output is of. */
export interface SendingRelay {
  readonly engine: RelayEngine;
  readonly input: RelayInput;
}

/**
 * Where packets of an output may go, and an input may get some from. Both are on one network, if a channel is of both, and the
 * packets are what the input takes. What is sent by an interface does not come back by it: an output and an input with the same owner
 * in a channel are not joined by it.
 */
export interface Channel {
  readonly key: string;
  readonly owner: string;
}

/** Names for what an output sends, of which one is among takenAs() of each input that takes some of it, sources aside. */
export function sentAs({ address, port }: RelayOutput, input: RelayInput): string[] {
  const sent = port ?? input.port;
  return sent === undefined ? [`${address} wide`] : [`${address} ${sent}`, `${address} any`];
}

/** As sentAs(), of an input. */
export function takenAs({ group, port }: RelayInput): string[] {
  return port === undefined ? [`${group} any`, `${group} wide`] : [`${group} ${port}`, `${group} wide`];
}

/**
 * Channels of an output. Interfaces are taken to be on one network if their addresses are of one. If that is not known of both, then
 * those of different hosts are if they have the same name; or any, if the output changes group or port: who gives a group
 * another name and elsewhere gives it the first one again may well join the two.
 */
export function outputChannels(output: End<RelayOutput>, relay: SendingRelay, exclusions: Exclusions): Channel[] {
  const { spec, host } = output;
  const { input } = relay;
  const rewrites = spec.address !== input.group || (spec.port !== undefined && spec.port !== input.port);
  const from = sourcesOf(output, relay);
  const sources = ['', ...(from ?? ['*']), ...exclusions.passedBy(spec.address, from)];
  const what = sentAs(spec, input).flatMap((packets) => sources.map((source) => `${packets} ${source}`));
  const places =
    output.known.networks.length > 0
      ? [
          ...onNetworks(output),
          { key: `unknown ${spec.interface}`, owner: host },
          ...(rewrites ? [{ key: 'unknown', owner: host }] : []),
        ]
      : [{ key: `name ${spec.interface}`, owner: host }, ...(rewrites ? [{ key: 'anywhere', owner: host }] : [])];
  return product(places, what);
}

/** Channels of an input. */
export function inputChannels(input: End<RelayInput>, exclusions: Exclusions): Channel[] {
  const { spec, host } = input;
  const sources = spec.sources.length === 0 ? [exclusions.nameOf(spec) ?? ''] : ['*', ...spec.sources];
  const what = takenAs(spec).flatMap((packets) => sources.map((source) => `${packets} ${source}`));
  const known = onNetworks(input);
  const unknown = [`unknown ${spec.interface}`, 'unknown'].map((key) => ({ key, owner: host }));
  const always = [`name ${spec.interface}`, 'anywhere'].map((key) => ({ key, owner: host }));
  return product([...always, ...(known.length > 0 ? known : unknown)], what);
}

/** Source addresses of what an output sends; undefined: any. Hosts choose the kernel engine only where it is asked for. */
function sourcesOf({ spec, known }: End<RelayOutput>, { engine, input }: SendingRelay): readonly string[] | undefined {
  const keeps = spec.source === 'KEEP' || (spec.source === '' && engine === RelayEngine.KERNEL);
  if (keeps) return input.sources.length > 0 ? input.sources : undefined;
  if (spec.source !== '' && spec.source !== 'INTERFACE') return [spec.source];
  return known.addresses.length > 0 ? known.addresses : undefined;
}

function onNetworks({ host, spec, known }: End<{ readonly interface: string }>): Channel[] {
  return known.networks.map((network) => ({ key: `on ${network}`, owner: `${host} ${spec.interface}` }));
}

function product(places: readonly Channel[], what: readonly string[]): Channel[] {
  return places.flatMap(({ key, owner }) => what.map((packets) => ({ key: `${key}: ${packets}`, owner })));
}
