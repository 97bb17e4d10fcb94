import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { isMap, type Node } from 'yaml';
import { list, mapping, optional, type Read, required, textMap } from './collection-readers.ts';
import { engines, oversizePolicies } from './enum-words.ts';
import type { Cursor } from './reader.ts';
import { specReader, toSpec } from './relay-spec.ts';
import { anyText, choice, ignored, numberAsText, text } from './scalar-readers.ts';

/** Words as ProtoJSON writes the values of an enum. */
function prefixed<T>(prefix: string, meanings: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(meanings).map(([word, meaning]) => [`${prefix}${word}`, meaning]));
}

const relayKeys = {
  name: required(text),
  displayName: optional(anyText),
  labels: optional(textMap),
  annotations: optional(textMap),
  spec: required(
    specReader({
      engine: choice(prefixed('RELAY_ENGINE_', engines)),
      oversize: choice(prefixed('OVERSIZE_POLICY_', oversizePolicies)),
      longNumber: numberAsText,
    }),
  ),
  // What only the controller writes.
  uid: optional(ignored),
  generation: optional(ignored),
  etag: optional(ignored),
  revision: optional(ignored),
  createTime: optional(ignored),
  updateTime: optional(ignored),
  reconciling: optional(ignored),
  managedBy: optional(ignored),
  status: optional(ignored),
};

const apiRelay = mapping(relayKeys);

const apiList = mapping({
  relays: optional(list(apiRelay)),
  nextPageToken: optional(ignored),
  totalSize: optional(ignored),
  revision: optional(ignored),
  resumeToken: optional(ignored),
});

/** A relay of the API in JSON, and the path to it. */
export interface ApiRelay {
  readonly relay: Relay;
  readonly path: readonly string[];
}

/** Whether something is a relay or a list of relays as the API has them in JSON, and not a document. */
export function isOfApi(contents: Node): boolean {
  if (!isMap(contents)) return false;
  if (['apiVersion', 'kind', 'metadata'].some((key) => contents.has(key))) return false;
  return ['relays', 'resumeToken', 'name'].some((key) => contents.has(key));
}

/** Reads what `get relays -o json` prints, the list or the one relay. */
export function readOfApi(contents: Node, at: Cursor): ApiRelay[] {
  if (isMap(contents) && contents.has('name')) {
    return [{ relay: toRelay(apiRelay.read(contents, at) ?? {}), path: [] }];
  }
  const { relays = [] } = apiList.read(contents, at) ?? {};
  return relays.map((relay, index) => ({ relay: toRelay(relay), path: ['relays', String(index)] }));
}

function toRelay({ name, displayName, labels, annotations, spec = {} }: Read<typeof relayKeys>): Relay {
  const given = { displayName, labels, annotations };
  return Relay.fromPartial({
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    name: name ?? '',
    spec: toSpec(spec),
  });
}
