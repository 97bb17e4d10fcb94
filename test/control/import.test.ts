/** What `mcfleet import smcroute` prints, taken back by `mcfleet apply`, as a controller sees it. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { useCli } from './use-cli.ts';

const { run, start, write } = useCli();

/** Everything that a relay can be made of. */
const thorough = `# The camera network
phyint eth0 enable mrdisc
phyint eth1 enable ttl-threshold 11
phyint eth2 enable ttl-threshold 255
phyint eth3 disable
mgroup from eth0 group 225.1.2.3
mgroup from eth0 source 10.0.0.0/30 group 225.0.0.0/24
mroute from eth0 source 10.0.0.2 group 225.1.2.3 to eth1 wlan0
mroute from eth0 group 225.1.2.3 to eth1 wlan0 br-lan.7
mroute from eth0 source 0.0.0.0/1 group 225.1.2.3 to eth1
mroute from eth0 source 10.0.0.0/24 group 225.1.4.0/28 to eth1 eth2 eth3 wlan0 # the rest
mroute from eth0 source 126.255.255.200/24 group 226.1.1.1 to eth1
mroute from eth0 source 255.255.255.0/24 group 226.1.1.2 to eth1
mroute from eth0 group 224.0.0.0/23 to wlan0
mroute from wlan0 group 224.0.0.252/29 to eth0 wlan0
mroute from eth0 group 224.0.1.128/29 to wlan0
mroute from eth+ group 239.0.0.1 to eth+
mroute from eth0 source fc00::2 group ff05::1 to eth1
mroute from eth0 source fc00::/120 group ff05::/126 to eth1 eth2
mroute from eth0 group ff0e::181 to eth1
mroute from eth0 group ff00::/8 to eth1
include snippets/*.conf
`;

it('is accepted, all of it', async () => {
  write('smcroute.conf', thorough);
  const imported = await run('import', 'smcroute', 'smcroute.conf', '--host', 'edge-1', '--expand', '512');
  expect(imported).toMatchObject({ code: 0, stderr: expect.stringMatching(/^\d+ relays from 21 lines;/) });
  thorough.split('\n').forEach((line, index) => {
    if (/^(#|$)/.test(line)) return;
    expect(imported.stdout).toContain(`# smcroute.conf:${index + 1}: ${line}\n#   `);
  });
  write('relays.yaml', imported.stdout);
  const dryRun = await run('apply', '-f', 'relays.yaml', '--dry-run');
  expect(dryRun.code, dryRun.stderr).toBe(0);
  const made = Number(/^\d+/.exec(imported.stderr)?.[0]);
  expect(made).toBeGreaterThan(400);
  expect(dryRun.stdout.match(/^relay \S+ created \(dry run\)$/gm)?.length).toBe(made);

  // Also where relays are there already, none of which it contradicts: it is its own second time.
  expect((await run('apply', '-f', 'relays.yaml')).code).toBe(0);
  expect(await run('diff', '-f', 'relays.yaml')).toMatchObject({ code: 0, stdout: '' });
});

it('the example of smcroute itself is accepted', async (context) => {
  const example = '/usr/share/doc/smcroute/examples/smcroute.conf';
  if (!existsSync(example)) context.skip('smcroute is not installed with its examples');
  const imported = await start(['import', 'smcroute', '-', '--host', 'edge-1'], {
    input: readFileSync(example, 'utf8'),
  }).ended;
  expect(imported.code, imported.stderr).toBe(0);
  const dryRun = await start(['apply', '-f', '-', '--dry-run'], { input: imported.stdout }).ended;
  expect(dryRun.code, dryRun.stderr).toBe(0);
  // (S,G) twice, one with outputs of two thresholds; a group for any source; and a range of 256 of them.
  expect(dryRun.stdout.match(/ created /g)?.length).toBe(2 + 1 + 2 + 2 * 256);
});

it('what smcroute refuses is refused with its place, and nothing is printed', async () => {
  write('bad.conf', 'mroute from eth0 group 225.1.2.3 to eth1\nmroute from eth0 group 10.1.2.3 to eth1\ntable 5\n');
  expect(await run('import', 'smcroute', 'bad.conf', '--host', 'edge-1')).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'error: bad.conf:2: group "10.1.2.3" is not multicast\n' +
      'error: bad.conf:3: "table" is not a command: phyint, mgroup, mroute and include are\n',
  });
  expect(await run('import', 'smcroute', 'none.conf')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error: none.conf: no such file or directory\n',
  });
  expect(await run('import', 'smcroute', 'bad.conf', '--host', 'Edge_1')).toMatchObject({ code: 2, stdout: '' });
  expect(await run('import', 'smcroute', 'bad.conf', '--expand', '0')).toMatchObject({ code: 2, stdout: '' });
  expect(await run('import', 'smcroute', 'bad.conf', '--interfaces', 'eth0,,')).toMatchObject({ code: 2, stdout: '' });
});
