import { OversizePolicy, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';

/** Texts that YAML could take for something else, among any others. */
const text = fc.oneof(
  fc.constantFrom(
    '5001',
    '1e3',
    '0x10',
    'true',
    'null',
    '~',
    'no',
    '- a',
    'a: b',
    '#',
    '&a',
    '*a',
    '!t',
    '%',
    '"',
    "'",
    '|',
    '>',
    ' x ',
    '\t',
    'é\u2028',
  ),
  fc.string({ minLength: 1, unit: 'grapheme' }),
  fc.string({ minLength: 1, maxLength: 200 }),
);
const labels = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9./-]{0,10}$/), fc.oneof(text, fc.constant('')), {
  maxKeys: 4,
});
const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });

const upTo = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined });

/** For tests: a relay that documents can say, right or wrong. */
export const anyRelay = fc.record({
  name: text.map((name) => `relays/${name.replaceAll('/', '-')}`),
  displayName: fc.oneof(fc.constant(''), text),
  labels,
  annotations: labels,
  spec: fc.record({
    hosts: fc.record({ names: fc.array(text, { maxLength: 3 }), matchLabels: labels }),
    engine: fc.constantFrom(RelayEngine.AUTO, RelayEngine.USERSPACE, RelayEngine.KERNEL),
    input: fc.record({
      interface: text,
      group: text,
      port,
      sources: fc.array(text, { maxLength: 3 }),
      excludeSources: fc.array(text, { maxLength: 3 }),
      vlan: upTo(4094),
    }),
    outputs: fc.array(
      fc.record({
        interface: text,
        address: fc.oneof(fc.constant(''), text),
        port,
        ttl: fc.option(fc.integer({ min: 1, max: 255 }), { nil: undefined }),
        source: fc.oneof(fc.constant(''), text),
        dscp: fc.option(fc.integer({ min: 0, max: 63 }), { nil: undefined }),
        sourcePort: port,
        oversize: fc.constantFrom(OversizePolicy.UNSPECIFIED, OversizePolicy.FRAGMENT, OversizePolicy.DROP),
      }),
      { maxLength: 3 },
    ),
    allowPtp: fc.boolean(),
    loopProtection: fc.option(
      fc.record({
        keepDuplicates: fc.boolean(),
        minTtl: fc.option(fc.integer({ min: 2, max: 255 }), { nil: undefined }),
      }),
      { nil: undefined },
    ),
    rateLimit: fc.option(
      fc.record({
        packetsPerSecond: upTo(10_000_000),
        bitsPerSecond: fc.option(fc.bigInt({ min: 1000n, max: 10n ** 12n }), { nil: undefined }),
        burstPackets: upTo(1_000_000),
      }),
      { nil: undefined },
    ),
  }),
});
