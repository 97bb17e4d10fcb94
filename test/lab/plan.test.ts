import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeMistakes, type LabDescription } from './description.ts';
import { planLab } from './plan.ts';
import { chain, dualBridge, twoHosts } from './topologies.ts';

describe('describeMistakes', () => {
  it.each([
    ['chain', chain()],
    ['dualBridge', dualBridge()],
    ['twoHosts', twoHosts()],
  ])('finds none in the topology %s', (_name, topology) => {
    expect(describeMistakes(topology)).toEqual([]);
  });

  it('reports all of them at once', () => {
    const end = { namespace: 'a', interface: 'eth0' };
    expect(
      describeMistakes({
        namespaces: { a: {}, 'Not a name': {} },
        links: [
          { a: end, b: end },
          { a: { namespace: 'b', interface: 'eth0' }, b: { namespace: 'a', interface: 'a-name-that-is-too-long' } },
          { a: { namespace: 'a', interface: 'p0', bridge: 'br0' }, b: { namespace: 'a', interface: 'p1' } },
        ],
      }),
    ).toEqual([
      '"Not a name" is no namespace name (1 to 40 of a-z, 0-9 and -)',
      'a: interface "eth0" is described twice',
      'interface "eth0" is in namespace "b", which is not described',
      'a: "a-name-that-is-too-long" is no interface name (1 to 15 characters)',
      'a: interface "p0" is plugged into "br0", which is no bridge there',
    ]);
  });
});

describe('planLab', () => {
  it('makes every pair before any end of it is configured, and writes settings before any interface is made', () => {
    const label = fc.constantFrom('a', 'b', 'c');
    const links = fc.array(fc.tuple(label, label), { maxLength: 12 });
    fc.assert(
      fc.property(links, (pairs) => {
        const lab: LabDescription = {
          namespaces: { a: {}, b: {}, c: {} },
          links: pairs.map(([a, b], index) => ({
            a: { namespace: a, interface: `l${index}`, addresses: ['10.0.0.1/24'] },
            b: { namespace: b, interface: `r${index}` },
          })),
        };
        const made = new Set<string>();
        const indexes = new Set<number>();
        for (const plan of planLab(lab, (name) => `real-${name}`)) {
          if (plan.sysctls.length > 0)
            expect([...made].filter((key) => key.startsWith(`${plan.namespace} `))).toEqual([]);
          for (const line of plan.ip) {
            const pair = /^link add name (\S+) index (\d+) type veth peer name (\S+) netns real-(\S+)$/.exec(line);
            if (pair !== null) {
              made.add(`${plan.namespace} ${pair[1]}`).add(`${pair[4]} ${pair[3]}`);
              indexes.add(Number(pair[2]));
            }
            const used = /dev (\S+)/.exec(line)?.[1];
            if (used !== undefined && used !== 'lo') expect(made).toContain(`${plan.namespace} ${used}`);
          }
        }
        expect(made.size).toBe(2 * pairs.length);
        expect(indexes.size).toBe(pairs.length);
      }),
    );
  });
});
