import { Relay, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { isMap, isScalar, type Node } from 'yaml';
import { mostSimilar } from '../text/similar.ts';
import { mapping, optional, type Read, required, textMap } from './collection-readers.ts';
import { engines, oversizePolicies } from './enum-words.ts';
import { specReader, toSpec } from './relay-spec.ts';
import { anyText, choice, exactly, ignored, text, wholeNumber } from './scalar-readers.ts';

export const apiVersion = 'mcfleet/v1';
export const relayKind = 'Relay';

const metadata = {
  name: required(text),
  displayName: optional(anyText),
  labels: optional(textMap),
  annotations: optional(textMap),
};

const keys = {
  apiVersion: required(exactly(apiVersion)),
  kind: required(text),
  metadata: required(mapping(metadata, '{name: camera-7}')),
  spec: required(specReader({ engine: choice(engines), oversize: choice(oversizePolicies), longNumber: wholeNumber })),
  status: optional(ignored),
};

/** A whole document of kind Relay. `status` is what `get -o yaml` shows: accepted, so that its output can be applied, and ignored. */
export const relayDocument = mapping(keys);

/** Whether something has any key of a document, perhaps misspelt. */
export function resemblesDocument(contents: Node): boolean {
  if (!isMap(contents)) return false;
  return contents.items.some(
    ({ key }) => isScalar(key) && mostSimilar(String(key.value), Object.keys(keys)) !== undefined,
  );
}

/** A document as read. */
export type RelayDocument = Read<typeof keys>;

/** The relay of a document, as the API takes it. */
export function toRelay({ metadata: given = {}, spec = {} }: RelayDocument): Relay {
  const { name, ...rest } = given;
  return Relay.fromPartial({
    ...rest,
    name: name === undefined ? '' : `relays/${name}`,
    spec: { ...toSpec(spec), engine: spec.engine ?? RelayEngine.AUTO },
  });
}
