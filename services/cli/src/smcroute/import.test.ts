import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRelays, type SourcedRelay } from '../document/parse.ts';
import { type ConfFiles, RefusedConf } from './conf.ts';
import { type ImportOptions, importSmcroute } from './import.ts';

const defaults: ImportOptions = {
  hosts: ['edge-1'],
  prefix: 'edge-1',
  interfaces: undefined,
  onlyEnabled: false,
  expand: 256,
};

function filesOf(texts: Readonly<Record<string, string>>): ConfFiles {
  return {
    read: (path) => texts[path] ?? '',
    match: (pattern) => Object.keys(texts).filter((path) => path === pattern || path.startsWith(`${pattern}/`)),
  };
}

/** The documents made of lines. */
function imported(lines: readonly string[], options: Partial<ImportOptions> = {}): string {
  return importSmcroute('a.conf', filesOf({ 'a.conf': lines.join('\n') }), { ...defaults, ...options }).documents;
}

/** What the command reads of documents; a file of comments alone has none. */
function parsed(documents: string): readonly SourcedRelay[] {
  if (!/^---$/m.test(documents)) return [];
  const { relays: read, violations } = parseRelays('x.yaml', documents);
  expect(violations).toEqual([]);
  return read;
}

/** Specs of the documents, in short. */
function relays(lines: readonly string[], options: Partial<ImportOptions> = {}): unknown[] {
  return parsed(imported(lines, options)).map(({ relay: { spec } }) => ({
    from: spec?.input?.interface,
    group: spec?.input?.group,
    ...(spec?.input?.sources.length ? { sources: spec.input.sources } : {}),
    ...(spec?.input?.excludeSources.length ? { not: spec.input.excludeSources } : {}),
    to: spec?.outputs.map((output) => output.interface),
    ...(spec?.loopProtection?.minTtl === undefined ? {} : { minTtl: spec.loopProtection.minTtl }),
  }));
}

/** Why lines are refused. */
function refusal(texts: Readonly<Record<string, string>>, options: Partial<ImportOptions> = {}): string {
  try {
    importSmcroute('a.conf', filesOf(texts), { ...defaults, ...options });
  } catch (thrown) {
    if (thrown instanceof RefusedConf) return thrown.message;
    throw thrown;
  }
  return 'not refused';
}

describe('importSmcroute', () => {
  it('makes a relay of a route, which changes nothing but the TTL', () => {
    const [first] = parsed(imported(['mroute from eth0 source 10.0.0.2 group 225.1.2.3 to eth1']));
    expect(first?.relay).toMatchObject({
      name: 'relays/edge-1-eth0-225-1-2-3',
      labels: { 'imported-from': 'smcroute' },
      spec: {
        hosts: { names: ['edge-1'] },
        input: { interface: 'eth0', group: '225.1.2.3', port: undefined, sources: ['10.0.0.2'] },
        outputs: [{ interface: 'eth1', address: '', port: undefined, ttl: undefined, source: 'KEEP' }],
        loopProtection: undefined,
      },
    });
  });

  it('adds up lines of one flow, and gives each threshold a relay of its own', () => {
    const lines = ['phyint eth2 enable ttl-threshold 7', 'mroute from eth0 group 225.1.2.3 to eth1'];
    expect(relays([...lines, 'mroute from eth0 group 225.1.2.3 to eth2 eth3'])).toEqual([
      { from: 'eth0', group: '225.1.2.3', to: ['eth1', 'eth3'] },
      { from: 'eth0', group: '225.1.2.3', to: ['eth2'], minTtl: 8 },
    ]);
  });

  it('uses of a threshold what was said before the route, and 255 for never', () => {
    const route = 'mroute from eth0 group 225.1.2.3 to eth1';
    expect(relays([route, 'phyint eth1 ttl-threshold 9'])).toEqual([expect.not.objectContaining({ minTtl: 10 })]);
    expect(relays(['phyint eth1 ttl-threshold 9', 'phyint eth1', route])).toEqual([
      expect.not.objectContaining({ minTtl: 10 }),
    ]);
    expect(relays(['phyint eth1 ttl-threshold 254', route])).toEqual([expect.objectContaining({ minTtl: 255 })]);
    expect(relays(['phyint eth1 ttl-threshold 255', route])).toEqual([]);
    expect(imported(['phyint eth1 ttl-threshold 255', route])).toContain('no TTL is higher than ttl-threshold 255');
    // The kernel has no thresholds for IPv6.
    expect(relays(['phyint eth1 ttl-threshold 255', 'mroute from eth0 group ff05::1 to eth1'])).toEqual([
      { from: 'eth0', group: 'ff05::1', to: ['eth1'] },
    ]);
  });

  it('leaves sources with a route of their own out of the others', () => {
    const any = 'mroute from eth0 group 225.1.2.3 to eth1';
    const one = 'mroute from eth0 source 10.0.0.2 group 225.1.2.3 to eth2';
    expect(relays([any, one])).toEqual([
      { from: 'eth0', group: '225.1.2.3', not: ['10.0.0.2'], to: ['eth1'] },
      { from: 'eth0', group: '225.1.2.3', sources: ['10.0.0.2'], to: ['eth2'] },
    ]);
    // A route of any source also changes those of one source that are there already.
    expect(relays([one, any])).toContainEqual({
      from: 'eth0',
      group: '225.1.2.3',
      sources: ['10.0.0.2'],
      to: ['eth2', 'eth1'],
    });
    // On another interface the source comes from the wrong one.
    expect(relays([any, 'mroute from eth3 source 10.0.0.2 group 225.1.2.3 to eth2'])).toContainEqual(
      expect.objectContaining({ from: 'eth0', not: ['10.0.0.2'] }),
    );
    // Without outputs it is a filter.
    const filter = ['mroute from eth0 source 10.0.0.2 group 225.1.2.3', any];
    expect(relays([...filter].reverse())).toEqual([
      { from: 'eth0', group: '225.1.2.3', not: ['10.0.0.2'], to: ['eth1'] },
    ]);
  });

  it('makes a relay of each group, with up to 64 sources', () => {
    const [first, ...rest] = relays(['mroute from eth0 source 10.0.0.0/25 group 225.1.2.2/31 to eth1']) as {
      group: string;
      sources: string[];
    }[];
    expect(first?.sources.length).toBe(64);
    expect(first?.sources[0]).toBe('10.0.0.0');
    expect(rest.map(({ group, sources }) => [group, sources.at(-1)])).toEqual([
      ['225.1.2.2', '10.0.0.127'],
      ['225.1.2.3', '10.0.0.63'],
      ['225.1.2.3', '10.0.0.127'],
    ]);
    expect(relays(['mroute from eth0 group 225.1.2.0/24 to eth1']).length).toBe(256);
    const large = ['mroute from eth0 group 225.1.0.0/23 to eth1'];
    expect(relays(large)).toEqual([]);
    expect(imported(large)).toContain('no relay: any source, group 225.1.0.0/23 would be 512 relays; --expand 512');
    expect(relays(large, { expand: 512 }).length).toBe(512);
    expect(imported(['mroute from eth0 source fc00::/16 group ff00::/8 to eth1'])).toContain('would be ');
  });

  it('of ranges uses the first that matches', () => {
    const [wide, narrow] = ['mroute from eth0 group 225.1.2.2/31 to eth1', 'mroute from eth0 group 225.1.2.3 to eth2'];
    expect(relays([wide, narrow])).toEqual([
      { from: 'eth0', group: '225.1.2.2', to: ['eth1'] },
      { from: 'eth0', group: '225.1.2.3', to: ['eth1'] },
    ]);
    expect(relays([narrow, wide])).toEqual([
      { from: 'eth0', group: '225.1.2.3', to: ['eth2'] },
      { from: 'eth0', group: '225.1.2.2', to: ['eth1'] },
    ]);
    const some = 'mroute from eth0 source 10.0.0.2/31 group 225.1.2.3 to eth3';
    expect(relays([some, narrow])).toContainEqual(expect.objectContaining({ not: ['10.0.0.2', '10.0.0.3'] }));
  });

  it('knows which interfaces patterns mean', () => {
    const conf = ['phyint eth1 enable', 'phyint eth2 enable', 'mroute from eth+ group 225.1.2.3 to eth+ wlan0'];
    expect(relays(conf)).toEqual([
      { from: 'eth1', group: '225.1.2.3', to: ['eth2', 'wlan0'] },
      { from: 'eth2', group: '225.1.2.3', to: ['eth1', 'wlan0'] },
    ]);
    expect(relays(conf, { onlyEnabled: true })).toContainEqual({ from: 'eth2', group: '225.1.2.3', to: ['eth1'] });
    const three = { interfaces: ['eth0', 'eth1', 'eth9'] };
    expect(relays(conf, three).map((relay) => (relay as { from: string }).from)).toEqual(['eth0', 'eth1', 'eth9']);
    // The kernel holds one route of a source and group: the last.
    const exact = ['mroute from eth+ source 10.0.0.2 group 225.1.2.3 to wlan0'];
    expect(relays(exact, three)).toEqual([{ from: 'eth9', group: '225.1.2.3', sources: ['10.0.0.2'], to: ['wlan0'] }]);
    expect(imported(exact, three)).toContain('what comes in on eth0 is not forwarded: that of eth9 came later');
  });

  it('tells why nothing is made of what the kernel does not do', () => {
    const note = (line: string): string => {
      expect(relays([line])).toEqual([]);
      return imported([line]);
    };
    expect(note('mroute from eth0 group 224.0.0.5 to eth1')).toContain('224.0.0.0/24: the kernel never routes it');
    expect(note('mroute from eth0 group ff02::5 to eth1')).toContain('link-local scope');
    expect(note('mroute from eth0 source 224.1.1.1 group 225.1.2.3 to eth1')).toContain(
      'no packet comes from 224.1.1.1',
    );
    expect(note('mroute from eth0 group 225.1.2.3 to eth0')).toContain('not to eth0, where the packets come from');
    expect(note('mroute from eth0 group 225.1.2.3')).toContain('smcroute drops these packets');
    expect(note('mgroup from eth0 group 225.1.2.3')).toContain('no equivalent: only relays join groups');
    expect(note('phyint eth0 enable mrdisc ttl-threshold 3')).toMatch(/no equivalent is needed.*minTtl 4.*mrdisc/);
    expect(relays(['mroute from eth0 group 224.0.1.129 to eth1']).length).toBe(1);
    expect(imported(['mroute from eth0 group 224.0.1.129 to eth1'])).toContain('allowPtp: true');
  });

  it('reads what is included where it is included', () => {
    const files = filesOf({
      'a.conf': 'include d\nmroute from eth0 group 225.1.2.3 to eth1\ninclude none',
      'd/1': 'phyint eth1 enable ttl-threshold 4',
      'd/2': 'include d/3',
      'd/3': '',
    });
    const { documents, lines } = importSmcroute('a.conf', files, defaults);
    expect(documents).toContain('# a.conf:1: include d\n#   read: d/1, d/2, d/3\n');
    expect(documents).toContain('# d/1:1: phyint eth1 enable ttl-threshold 4');
    expect(documents).toContain('minTtl: 5');
    expect(documents).toContain('# a.conf:3: include none\n#   no such file');
    expect(lines).toBe(5);
  });

  it('tells everything that is refused, with its place', () => {
    expect(refusal({ 'a.conf': 'bogus\n\nmgroup from eth0\ninclude b', b: 'phyint' })).toBe(
      'a.conf:1: "bogus" is not a command: phyint, mgroup, mroute and include are\n' +
        'a.conf:3: mgroup needs "group" and an address\n' +
        'b:1: phyint needs an interface',
    );
    const route = 'mroute from eth0 group 225.1.2.3 to eth1';
    expect(refusal({ 'a.conf': `phyint eth0 disable\n${route}` })).toMatch(/^a\.conf:2: eth0 is disabled/);
    expect(refusal({ 'a.conf': route }, { onlyEnabled: true })).toMatch(/^a\.conf:1: eth0 is disabled, or not enabled/);
    expect(refusal({ 'a.conf': 'mroute from x+ group 225.1.2.3 to eth1' })).toMatch(/^a\.conf:1: x\+ matches no/);
    expect(refusal({ 'a.conf': 'include a.conf' })).toBe('a.conf:1: a.conf includes itself');
    expect(refusal({ 'a.conf': 'include b', b: 'include a.conf' })).toBe('b:1: a.conf includes itself');
    expect(refusal({ 'a.conf': '#'.repeat(2 ** 20 + 1) })).toBe('a.conf: is too large: 1 MiB in all at most');
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`d/${i}`, '']));
    expect(refusal({ 'a.conf': 'include d', ...many })).toBe('a.conf:1: more than 1000 files');
    const deep = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, `include f${i + 1}`]));
    expect(refusal({ 'a.conf': 'include f0', ...deep })).toBe('f14:1: more than 16 files include one another');
    const ranges = Array.from({ length: 40 }, (_, i) => `mroute from eth0 group 225.1.${i}.0/24 to eth1`);
    expect(refusal({ 'a.conf': ranges.join('\n') })).toMatch(/^more than 10000 relays/);
    expect(refusal({ 'a.conf': 'x\n'.repeat(300) })).toMatch(/\nand 200 more$/);
  });

  it('names relays so that no two are the same, however long they would be', () => {
    const conf = ['mroute from abcdefghijkl.15 source fc00::1 group ff05:1111:2222:3333:4444:5555:6666:7777 to eth1'];
    conf.push((conf[0] ?? '').replace('::1', '::2').replace('eth1', 'eth2'));
    const read = parsed(imported(conf, { prefix: '9.edge.studio.example' }));
    expect(read.map(({ relay }) => relay.name)).toEqual([
      'relays/r-abcdefghijkl-15-ff05-1111-2222-3333-4444-5555-6666-7777',
      'relays/r-abcdefghijkl-15-ff05-1111-2222-3333-4444-5555-6666-7777-2',
    ]);
  });

  it('of any text makes documents that the command reads, and tells of each line, or refuses it', () => {
    const name = fc.constantFrom('eth0', 'eth1', 'eth2', 'wlan0', 'eth+', '+');
    const group = fc.constantFrom('225.1.2.3', '225.1.2.4', '225.1.2.0/29', 'ff05::1', '224.0.0.250/28', '224.0.1.129');
    const source = fc.constantFrom('', 'source 10.0.0.2', 'source 10.0.0.0/30', 'source 0.0.0.0', 'source fc00::/120');
    const route = fc
      .tuple(fc.constantFrom('mroute', 'mroute', 'mgroup'), name, source, group, fc.array(name, { maxLength: 4 }))
      .map(([kind, from, src, grp, to]) => `${kind} from ${from} ${src} group ${grp} to ${to.join(' ')}`);
    const phyint = fc
      .tuple(name, fc.constantFrom('', 'enable', 'disable'), fc.integer({ min: 1, max: 255 }))
      .map(([of, enable, threshold]) => `phyint ${of} ${enable} ttl-threshold ${threshold}`);
    const line = fc.oneof({ weight: 6, arbitrary: route }, phyint, fc.constantFrom('', '# x'), fc.string());
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.boolean(), (lines, onlyEnabled) => {
        const texts = { 'a.conf': lines.join('\n') };
        if (refusal(texts, { onlyEnabled }) !== 'not refused') return;
        accepted++;
        const documents = imported(lines, { onlyEnabled });
        const names = parsed(documents).map(({ relay }) => relay.name);
        expect(new Set(names).size).toBe(names.length);
        texts['a.conf'].split('\n').forEach((text, index) => {
          if (/^[ \t\r\v\f\0]*(#|$)/.test(text)) return;
          // The line, and below it what became of it.
          expect(documents).toMatch(new RegExp(`^# a\\.conf:${index + 1}: .*\\n#   \\S`, 'm'));
        });
      }),
      { numRuns: 1_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});
