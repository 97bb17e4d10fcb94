import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { ListRelaysResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonText, protoJson } from '../render/proto-json.ts';
import { anyRelay } from '../testing/any-relay.ts';
import { locateViolations } from './controller-violations.ts';
import { parseRelays } from './parse.ts';
import { formatViolation } from './position.ts';

const stored = Relay.fromPartial({
  name: 'relays/a',
  uid: 'u',
  generation: 3n,
  etag: '"x"',
  createTime: new Date(0),
  managedBy: 'mcfleet',
  labels: { 'mcfleet.io/site': 'x' },
  spec: {
    hosts: { matchLabels: { role: 'edge' } },
    engine: 2,
    input: { interface: 'e', group: '239.1.1.1' },
    outputs: [{ interface: 'f', oversize: 2 }],
    rateLimit: { bitsPerSecond: 1_000_000_000_000n },
  },
  status: { observedGeneration: 3n, readyInstances: 1 },
});
const list = ListRelaysResponse.fromPartial({
  relays: [stored, { ...stored, name: 'relays/b' }],
  totalSize: 2,
  revision: 7n,
  resumeToken: 't',
});
const listText = jsonText(protoJson(ListRelaysResponse.$type, list), 2);

/** What is wrong with a text, as it is shown. */
function wrong(text: string): string[] {
  return parseRelays('r.json', text).violations.map(formatViolation);
}

describe('JSON of the API', () => {
  it('is read as the relays that were written', () => {
    fc.assert(
      fc.property(anyRelay, (intent) => {
        const written = Relay.fromPartial(intent);
        // JSON leaves out an empty list; no relay without outputs is stored.
        fc.pre(intent.spec.outputs.length > 0);
        const { relays, violations } = parseRelays('r.json', jsonText(protoJson(Relay.$type, written)));
        expect(violations.map(formatViolation)).toEqual([]);
        expect(relays.map(({ relay }) => relay)).toEqual([written]);
      }),
      { numRuns: 200 },
    );
  });

  it('may be a list, and what only the controller writes is ignored', () => {
    const { relays, violations } = parseRelays('r.json', listText);
    expect(violations).toEqual([]);
    const intent = { labels: stored.labels, spec: stored.spec, uid: '', etag: '', generation: 0n, status: undefined };
    expect(relays.map(({ relay }) => relay)).toMatchObject([
      { name: 'relays/a', ...intent },
      { name: 'relays/b', ...intent },
    ]);
  });

  it('shows the place of everything that is wrong, in its own words', () => {
    const text = listText
      .replace('"RELAY_ENGINE_USERSPACE"', '"USERSPACE"')
      .replace('"1000000000000"', '"1000000000001"')
      .replace('"managedBy"', '"mangedBy"');
    const row = (part: string): number => text.split('\n').findIndex((line) => line.includes(part)) + 1;
    expect(wrong(text)).toEqual([
      `r.json:${row('mangedBy')}:7: relays[0].mangedBy: unknown key; did you mean managedBy?`,
      `r.json:${row('"USERSPACE"')}:19: relays[0].spec.engine: must be RELAY_ENGINE_AUTO, RELAY_ENGINE_USERSPACE or RELAY_ENGINE_KERNEL, not "USERSPACE"`,
      `r.json:${row('000001"')}:28: relays[0].spec.rateLimit.bitsPerSecond: must be 1000 to 1000000000000, not 1000000000001`,
    ]);
  });

  it('shows at its place what the controller finds wrong', () => {
    const { relays } = parseRelays('r.json', listText);
    const fields = ['relays[1].name', 'relays[1].labels["mcfleet.io/site"]', 'relays[1].spec.hosts.match_labels.role'];
    const { inDocuments } = locateViolations(
      fields.map((field) => ({ field, description: 'bad' })),
      relays,
    );
    const lines = listText.split('\n');
    const shown = inDocuments.map(({ position: { line, column }, path }) => [
      path,
      lines[line - 1]?.slice(column - 1).replace(/,$/, ''),
    ]);
    expect(shown).toEqual([
      ['relays[1].name', '"relays/b"'],
      ['relays[1].labels.mcfleet.io/site', '"x"'],
      ['relays[1].spec.hosts.matchLabels.role', '"edge"'],
    ]);
    expect(inDocuments[0]?.position.line).toBeGreaterThan(lines.findIndex((line) => line.includes('relays/a')) + 1);
  });

  it('of an empty fleet says so', () => {
    const none = ListRelaysResponse.fromPartial({ revision: 7n, resumeToken: 't' });
    expect(wrong(jsonText(protoJson(ListRelaysResponse.$type, none)))).toEqual([
      'r.json:1:1: holds no relay: there is nothing to do',
    ]);
  });
});
