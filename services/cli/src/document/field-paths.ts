import {
  HostSelector,
  LoopProtection,
  RateLimit,
  Relay,
  RelayInput,
  RelayOutput,
  RelaySpec,
} from '@mcfleet/proto/mcfleet/v1/relay';

/** Names of fields as documents write them. */
const documentKeys: ReadonlySet<string> = new Set(
  [
    Relay.fromPartial({}),
    RelaySpec.fromPartial({}),
    HostSelector.fromPartial({}),
    RelayInput.fromPartial({}),
    RelayOutput.fromPartial({}),
    RateLimit.fromPartial({}),
    LoopProtection.fromPartial({}),
  ].flatMap((fields) => Object.keys(fields)),
);

/** Fields that hold a map: keys of theirs are the user's own and stay as they are. */
const maps: ReadonlySet<string> = new Set(['labels', 'annotations', 'matchLabels']);

function camel(part: string): string {
  return part.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** A message of the API in the words of documents: "give names, match_labels, or both" says matchLabels. */
export function inDocumentWords(message: string): string {
  return message.replace(/\b[a-z]+(_[a-z]+)+\b/g, (word) => (documentKeys.has(camel(word)) ? camel(word) : word));
}

/** The path of a field in JSON: "spec.hosts.match_labels" is "spec.hosts.matchLabels". */
export function jsonPath(parts: readonly string[]): string[] {
  const map = parts.findIndex((part) => maps.has(camel(part)));
  return parts.map((part, index) => (map >= 0 && index > map ? part : camel(part)));
}

/** The path of a field of Relay in a document: "labels" is "metadata.labels". */
export function documentPath(parts: readonly string[]): string[] {
  const path = jsonPath(parts);
  return path.length === 0 || path[0] === 'spec' ? path : ['metadata', ...path];
}
