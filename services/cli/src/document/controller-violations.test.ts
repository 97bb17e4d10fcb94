import { describe, expect, it } from 'vitest';
import { locateViolations } from './controller-violations.ts';
import { parseRelays } from './parse.ts';
import { formatViolation } from './position.ts';

const document = (port: string): string => `apiVersion: mcfleet/v1
kind: Relay
metadata:
  name: a
  labels: {mcfleet.io/site: x}
spec:
  hosts: {matchLabels: {role: edge}}
  input: {interface: eth0, group: 239.1.1.1}
  outputs:
    - interface: eth1
      port: ${port}
---
`;

function located(text: string, fields: readonly string[]): string[] {
  const { relays } = parseRelays('r.yaml', text);
  const violations = fields.map((field) => ({ field, description: 'bad' }));
  return locateViolations(violations, relays).inDocuments.map(formatViolation);
}

describe('locateViolations', () => {
  it('says what is wrong in the keys of the document', () => {
    const { relays } = parseRelays('r.yaml', document('1'));
    const description = 'give names, match_labels, or both; set allow_ptp; call UpdateHost with allow_missing';
    const [found] = locateViolations([{ field: 'relays[0].spec.hosts', description }], relays).inDocuments;
    expect(found?.message).toBe('give names, matchLabels, or both; set allowPtp; call UpdateHost with allow_missing');
  });

  it('sends something for a selector that could not be read, and does not repeat that it is wrong', () => {
    const text = document('1').replace('{matchLabels: {role: edge}}', '{names: edge-1}');
    const { relays, violations } = parseRelays('r.yaml', text);
    expect(violations.map(({ path }) => path)).toEqual(['spec.hosts.names']);
    expect(relays[0]?.relay.spec?.hosts?.names).toHaveLength(1);
    expect(located(text, ['relays[0].spec.hosts.names[0]', 'relays[0].spec.input'])).toEqual([
      'r.yaml:8:3: spec.input: bad',
    ]);
  });

  it('shows fields of the API by the keys of the document', () => {
    const fields = [
      'relays[1].name',
      'relays[1].labels["mcfleet.io/site"]',
      'relays[1].spec.hosts.match_labels.role',
      'relays[1].spec.outputs[0].port',
      'relays[1].spec.input.port',
    ];
    expect(located(document('1') + document('2'), fields)).toEqual([
      'r.yaml:16:9: metadata.name: bad',
      'r.yaml:17:29: metadata.labels.mcfleet.io/site: bad',
      'r.yaml:19:31: spec.hosts.matchLabels.role: bad',
      'r.yaml:23:13: spec.outputs[0].port: bad',
      // A key that is not there is shown at the mapping that lacks it.
      'r.yaml:20:3: spec.input.port: bad',
    ]);
  });

  it('does not repeat what was wrong with that document, and only with that', () => {
    const text = document('"x"') + document('2');
    expect(located(text, ['relays[0].spec.outputs[0].port', 'relays[1].spec.outputs[0].port'])).toEqual([
      'r.yaml:23:13: spec.outputs[0].port: bad',
    ]);
  });

  it('finds the items of a list with one that could not be read', () => {
    const text = document('1').replace('    - interface: eth1', '    - 5\n    - interface: eth1');
    expect(located(text, ['relays[0].spec.outputs[0].port', 'relays[0].spec.outputs[1].port'])).toEqual([
      'r.yaml:12:13: spec.outputs[1].port: bad',
    ]);
  });

  it('keeps what belongs to no document', () => {
    const elsewhere = [{ field: 'prune_selector', description: 'bad' }];
    expect(locateViolations(elsewhere, [])).toEqual({ inDocuments: [], elsewhere });
  });
});
