import {
  HostSelector,
  LoopProtection,
  OversizePolicy,
  RateLimit,
  Relay,
  RelayEngine,
  RelayInput,
  RelayOutput,
  RelaySpec,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { list, mapping, optional, type Read, required, textMap } from './collection-readers.ts';
import { anyText, choice, ignored, text, truth, wholeNumber } from './scalar-readers.ts';

export const apiVersion = 'mcfleet/v1';
export const relayKind = 'Relay';

const engines = { AUTO: RelayEngine.AUTO, USERSPACE: RelayEngine.USERSPACE, KERNEL: RelayEngine.KERNEL } as const;

/** The short name of an engine in documents and tables: "AUTO". Unspecified counts as AUTO, as it does for the controller. */
export function engineName(engine: RelayEngine): keyof typeof engines {
  if (engine === RelayEngine.USERSPACE) return 'USERSPACE';
  return engine === RelayEngine.KERNEL ? 'KERNEL' : 'AUTO';
}

const oversizePolicies = { FRAGMENT: OversizePolicy.FRAGMENT, DROP: OversizePolicy.DROP } as const;

/** The short name of a policy in documents: "DROP"; undefined if none was given. */
export function oversizeName(policy: OversizePolicy): keyof typeof oversizePolicies | undefined {
  if (policy === OversizePolicy.FRAGMENT) return 'FRAGMENT';
  return policy === OversizePolicy.DROP ? 'DROP' : undefined;
}

/** The engine of a short name. */
export function engineFromName(name: keyof typeof engines): RelayEngine {
  return engines[name];
}

const port = wholeNumber(1, 65_535);

const metadata = {
  name: required(text),
  displayName: optional(anyText),
  labels: optional(textMap),
  annotations: optional(textMap),
};

const spec = {
  hosts: required(
    mapping(
      { names: optional(list(text)), matchLabels: optional(textMap) },
      '{names: [edge-1]} or {matchLabels: {role: edge}}',
    ),
  ),
  engine: optional(choice('AUTO', 'USERSPACE', 'KERNEL')),
  input: required(
    mapping(
      {
        interface: required(text),
        group: required(text),
        port: optional(port),
        sources: optional(list(text)),
        excludeSources: optional(list(text)),
        vlan: optional(wholeNumber(1, 4094)),
      },
      '{interface: eth0, group: 239.1.1.1, port: 5001}',
    ),
  ),
  outputs: required(
    list(
      mapping(
        {
          interface: required(text),
          address: optional(text),
          port: optional(port),
          ttl: optional(wholeNumber(1, 255)),
          source: optional(text),
          dscp: optional(wholeNumber(0, 63)),
          sourcePort: optional(port),
          oversize: optional(choice('FRAGMENT', 'DROP')),
        },
        '{interface: eth1, address: 239.10.10.10, port: 6001}',
      ),
    ),
  ),
  rateLimit: optional(
    mapping(
      {
        packetsPerSecond: optional(wholeNumber(1, 10_000_000)),
        bitsPerSecond: optional(wholeNumber(1_000, 1_000_000_000_000)),
        burstPackets: optional(wholeNumber(1, 1_000_000)),
      },
      '{packetsPerSecond: 10000}',
    ),
  ),
  loopProtection: optional(
    mapping({ keepDuplicates: optional(truth), minTtl: optional(wholeNumber(2, 255)) }, '{keepDuplicates: true}'),
  ),
  allowPtp: optional(truth),
};

type SpecFields = Read<typeof spec>;

function toRateLimit({ bitsPerSecond, ...limit }: NonNullable<SpecFields['rateLimit']>): Partial<RateLimit> {
  return { ...limit, ...(bitsPerSecond === undefined ? {} : { bitsPerSecond: BigInt(bitsPerSecond) }) };
}

/** A whole document of kind Relay. `status` is what `get -o yaml` shows: accepted, so that its output can be applied, and ignored. */
export const relayDocument = mapping({
  apiVersion: required(text),
  kind: required(text),
  metadata: required(mapping(metadata, '{name: camera-7}')),
  spec: required(mapping(spec)),
  status: optional(ignored),
});

/** A document as read; keys that are missing or wrong are absent, and are among the violations. */
export type RelayDocument = NonNullable<ReturnType<typeof relayDocument>>;

/** The relay of a document, as the API takes it. */
export function toRelay(document: RelayDocument): Relay {
  const given: Read<typeof metadata> = document.metadata ?? {};
  const wanted: SpecFields = document.spec ?? {};
  return Relay.fromPartial({
    name: given.name === undefined ? '' : `relays/${given.name}`,
    displayName: given.displayName ?? '',
    labels: given.labels ?? {},
    annotations: given.annotations ?? {},
    spec: {
      ...(wanted.hosts === undefined
        ? {}
        : { hosts: { names: wanted.hosts.names ?? [], matchLabels: wanted.hosts.matchLabels ?? {} } }),
      engine: engines[wanted.engine ?? 'AUTO'],
      ...(wanted.input === undefined ? {} : { input: wanted.input }),
      outputs: (wanted.outputs ?? []).map(({ oversize, ...output }) => ({
        ...output,
        ...(oversize === undefined ? {} : { oversize: oversizePolicies[oversize] }),
      })),
      ...(wanted.rateLimit === undefined ? {} : { rateLimit: toRateLimit(wanted.rateLimit) }),
      ...(wanted.loopProtection === undefined ? {} : { loopProtection: wanted.loopProtection }),
      allowPtp: wanted.allowPtp ?? false,
    },
  });
}

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

function camel(part: string): string {
  return part.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** A message of the API in the words of documents: "give names, match_labels, or both" says matchLabels. */
export function inDocumentWords(message: string): string {
  return message.replace(/\b[a-z]+(_[a-z]+)+\b/g, (word) => (documentKeys.has(camel(word)) ? camel(word) : word));
}

/** The YAML path of a field of Relay as the API names it: "labels" is "metadata.labels", "spec.hosts.match_labels" "spec.hosts.matchLabels". */
export function documentPath(parts: readonly string[]): string[] {
  const [first, ...rest] = parts;
  if (first === undefined) return [];
  // Keys of the label and annotation maps are the user's own and stay as they are.
  if (first !== 'spec') return ['metadata', camel(first), ...rest];
  const map = rest.findIndex((part) => camel(part) === 'matchLabels');
  return ['spec', ...rest.map((part, index) => (map >= 0 && index > map ? part : camel(part)))];
}
