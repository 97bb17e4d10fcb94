import { type OversizePolicy, type RelayEngine, RelaySpec } from '@mcfleet/proto/mcfleet/v1/relay';
import { type Key, list, mapping, optional, type Read, required, textMap } from './collection-readers.ts';
import type { Reader } from './reader.ts';
import { text, truth, wholeNumber } from './scalar-readers.ts';

const port = wholeNumber(1, 65_535);

/** What of a spec is written differently in documents and in JSON. */
export interface SpecWords {
  readonly engine: Reader<RelayEngine>;
  readonly oversize: Reader<OversizePolicy>;
  /** A 64-bit number of the API, in a range. */
  readonly longNumber: (lowest: number, highest: number) => Reader<number>;
}

const hosts = required(
  mapping(
    { names: optional(list(text)), matchLabels: optional(textMap) },
    '{names: [edge-1]} or {matchLabels: {role: edge}}',
  ),
);

const input = required(
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
);

const loopProtection = optional(
  mapping({ keepDuplicates: optional(truth), minTtl: optional(wholeNumber(2, 255)) }, '{keepDuplicates: true}'),
);

/** Reads what a relay shall do. */
export function specReader({ engine, oversize, longNumber }: SpecWords): Reader<SpecFields> {
  return mapping({
    hosts,
    engine: optional(engine),
    input,
    outputs: outputs(oversize),
    rateLimit: rateLimit(longNumber),
    loopProtection,
    allowPtp: optional(truth),
  });
}

interface SpecFields
  extends Read<{
    hosts: typeof hosts;
    engine: Key<RelayEngine>;
    input: typeof input;
    outputs: ReturnType<typeof outputs>;
    rateLimit: ReturnType<typeof rateLimit>;
    loopProtection: typeof loopProtection;
    allowPtp: Key<boolean>;
  }> {}

// Types of these two are what the functions give.
function outputs(oversize: Reader<OversizePolicy>) {
  return required(
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
          oversize: optional(oversize),
        },
        '{interface: eth1, address: 239.10.10.10, port: 6001}',
      ),
    ),
  );
}

function rateLimit(longNumber: SpecWords['longNumber']) {
  return optional(
    mapping(
      {
        packetsPerSecond: optional(wholeNumber(1, 10_000_000)),
        bitsPerSecond: optional(longNumber(1_000, 1_000_000_000_000)),
        burstPackets: optional(wholeNumber(1, 1_000_000)),
      },
      '{packetsPerSecond: 10000}',
    ),
  );
}

/** What was read, as the API takes it. */
export function toSpec({ rateLimit: limit, ...spec }: SpecFields): RelaySpec {
  const bitsPerSecond = limit?.bitsPerSecond;
  return RelaySpec.fromPartial({
    ...spec,
    ...(limit === undefined
      ? {}
      : { rateLimit: { ...limit, ...(bitsPerSecond === undefined ? {} : { bitsPerSecond: BigInt(bitsPerSecond) }) } }),
  });
}
