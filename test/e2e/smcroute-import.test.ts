/**
 * What `mcfleet import smcroute` makes of configurations, against what smcrouted makes of them: the documents forward the same packets to
 * the same interfaces, from the same TTL on, as the routes that smcrouted puts into the kernel when these packets come.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { runMcfleet } from '../fleet/run-mcfleet.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';

/** A packet that is sent to the router. */
interface Probe {
  readonly from: string;
  readonly source: string;
  readonly group: string;
}

/** Interfaces that a packet leaves by, with the TTL that it needs more than. */
type Outputs = Readonly<Record<string, number>>;

const interfaces = ['eth0', 'eth1', 'eth2', 'eth3'];
const groups = ['225.1.2.3', '225.1.2.4', '225.1.2.9'];
const probes: readonly Probe[] = [
  ...['10.0.0.2', '10.0.0.3', '10.0.0.5'].flatMap((source) => groups.map((group) => ({ from: 'eth0', source, group }))),
  ...groups.map((group) => ({ from: 'eth3', source: '10.0.3.2', group })),
];

/** Sends each probe once, with a TTL that passes every threshold. */
const sendProbes = `
const { createSocket } = require('node:dgram');
(async () => {
  for (const { source, group } of ${JSON.stringify(probes)}) {
    const socket = createSocket('udp4');
    await new Promise((done) => socket.bind(0, source, done));
    socket.setMulticastInterface(source);
    socket.setMulticastTTL(255);
    await new Promise((done, failed) => socket.send('x', 5000, group, (error) => (error ? failed(error) : done())));
    socket.close();
  }
})();`;

/** Routes of a network namespace as "IIF SOURCE GROUP", with their outputs. */
async function kernelRoutes(lab: Lab): Promise<ReadonlyMap<string, Outputs>> {
  const read = async (file: string): Promise<string[][]> => {
    const { stdout } = await lab.run('router', ['cat', `/proc/net/${file}`]);
    return stdout
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  };
  const names = new Map((await read('ip_mr_vif')).map(([vif = '', name = '']) => [vif, name]));
  const address = (hex: string): string =>
    (hex.match(/../g) ?? [])
      .map((byte) => Number.parseInt(byte, 16))
      .reverse()
      .join('.');
  const routes = (await read('ip_mr_cache'))
    .filter(([group = '', , input = '-1']) => group !== '' && input !== '-1')
    .map(([group = '', source = '', input = '', , , , ...outputs]) => {
      const pairs = outputs.map((output): [string, number] => {
        const [vif = '', threshold = ''] = output.split(':');
        return [names.get(vif) ?? '', Number(threshold)];
      });
      const from = names.get(input) ?? '';
      // Relays send nothing back to where it comes from, and the import says so.
      const others = pairs.filter(([name]) => name !== from);
      return [`${from} ${address(source)} ${address(group)}`, Object.fromEntries(others)] as const;
    });
  return new Map(routes);
}

interface Spec {
  readonly input: { interface: string; group: string; sources?: string[]; excludeSources?: string[] };
  readonly outputs: readonly { interface: string }[];
  readonly loopProtection?: { minTtl: number };
}

/** What documents do with a packet. */
function outputsOf(specs: readonly Spec[], { from, source, group }: Probe): Outputs {
  const taking = specs.filter(
    ({ input }) =>
      input.interface === from &&
      input.group === group &&
      (input.sources?.includes(source) ?? true) &&
      !input.excludeSources?.includes(source),
  );
  const outputs = taking.flatMap((spec) =>
    spec.outputs.map((output) => [output.interface, (spec.loopProtection?.minTtl ?? 2) - 1] as const),
  );
  // No two relays send the same packet to one interface.
  expect(new Set(outputs.map(([name]) => name)).size).toBe(outputs.length);
  return Object.fromEntries(outputs);
}

const name = fc.constantFrom(...interfaces, 'eth+');
const route = fc
  .record({
    from: fc.constantFrom('eth0', 'eth0', 'eth0', 'eth3', 'eth+'),
    source: fc.constantFrom(
      '',
      '',
      ...['10.0.0.2', '10.0.0.3', '10.0.0.2/31', '10.0.0.0/29', '10.0.3.2', '0.0.0.0'].map((s) => ` source ${s}`),
    ),
    group: fc.constantFrom(...groups, '225.1.2.3/32', '225.1.2.2/31', '225.1.2.0/29', '225.1.2.3/28'),
    to: fc.uniqueArray(name, { maxLength: 3 }),
  })
  .map(
    ({ from, source, group, to }) =>
      `mroute from ${from}${source} group ${group}${to.length > 0 ? ` to ${to.join(' ')}` : ''}`,
  );
const phyint = fc
  .tuple(name, fc.constantFrom(1, 2, 7, 254, 255))
  .map(([of, threshold]) => `phyint ${of} enable ttl-threshold ${threshold}`);
const generated = fc.sample(
  fc.array(fc.oneof({ weight: 4, arbitrary: route }, phyint), { minLength: 2, maxLength: 7 }),
  {
    numRuns: 12,
    seed: 20_261_120,
  },
);
const written = [
  ['mroute from eth0 group 225.1.2.3 to eth1', 'mroute from eth0 source 10.0.0.2 group 225.1.2.3 to eth2'],
  ['mroute from eth0 source 10.0.0.2 group 225.1.2.3 to eth2', 'mroute from eth0 group 225.1.2.0/29 to eth1'],
  [
    'mroute from eth0 source 10.0.0.2 group 225.1.2.3 to eth1',
    'mroute from eth3 source 10.0.0.2 group 225.1.2.3 to eth1',
  ],
  ['phyint eth1 disable', 'phyint eth2 enable ttl-threshold 9 mrdisc', 'mroute from eth+ group 225.1.2.3 to eth+'],
  ['mroute from eth0 source 10.0.0.2/31 group 225.1.2.0/28 to eth1', 'mroute from eth0 group 225.1.2.3 to eth3'],
  ['mroute from eth0 group 225.1.2.3', 'mroute from eth0 group 225.1.2.0/28 to eth2 # all others'],
];

describeWithLab('mcfleet import smcroute', () => {
  beforeEach((context) => {
    if (spawnSync('smcrouted', ['-v']).status !== 0)
      context.skip('smcrouted is not installed (apt-get install smcroute)');
  });
  let lab: Lab | undefined;
  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    const sources: Readonly<Record<string, string[]>> = { eth0: ['2', '3', '5'], eth3: ['2'] };
    lab = await Lab.create({
      namespaces: { router: {}, neighbours: {} },
      links: interfaces.map((of, i) => ({
        a: { namespace: 'router', interface: of, addresses: [`10.0.${i}.1/24`] },
        b: {
          namespace: 'neighbours',
          interface: of,
          addresses: (sources[of] ?? []).map((host) => `10.0.${i}.${host}/24`),
        },
      })),
    });
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  it.each([...written, ...generated].map((lines) => [lines.join('; '), lines] as const))(
    '%s: forwards what smcrouted does',
    async (_name, lines) => {
      await compare(lab, lines);
    },
  );
});

/** Has smcrouted and the import read a configuration, and compares what becomes of every probe. */
async function compare(lab: Lab | undefined, lines: readonly string[]): Promise<void> {
  if (lab === undefined) throw new Error('the lab was not made');
  const file = join(lab.directory, 'smcroute.conf');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const imported = await runMcfleet([
    'import',
    'smcroute',
    file,
    '--host',
    'edge-1',
    '--interfaces',
    interfaces.join(','),
  ]);
  expect(imported.code, imported.stderr).toBe(0);
  const specs = parseAllDocuments(imported.stdout).map((document) => (document.toJS() as { spec: Spec } | null)?.spec);

  const sockets = ['-P', join(lab.directory, 'pid'), '-u', join(lab.directory, 'sock')];
  const smcrouted = lab.start('router', ['smcrouted', '-n', '-l', 'info', '-f', file, ...sockets]);
  try {
    await smcrouted.waitForOutput(/Ready/);
    const sent = await lab.run('neighbours', [process.execPath, '--eval', sendProbes]);
    expect(sent.code, sent.stderr).toBe(0);
    const routes = await until('the kernel has a route for every probe', async () => {
      const found = await kernelRoutes(lab);
      const known = new Set([...found.keys()].map((key) => key.split(' ').slice(1).join(' ')));
      return probes.every(({ source, group }) => known.has(`${source} ${group}`)) ? found : undefined;
    });
    for (const probe of probes) {
      const { from, source, group } = probe;
      const flow = `${from} ${source} ${group}`;
      const ours = outputsOf(
        specs.filter((spec) => spec !== undefined),
        probe,
      );
      expect([flow, ours], imported.stdout).toEqual([flow, routes.get(flow) ?? {}]);
    }
  } finally {
    await smcrouted.stop();
  }
}
