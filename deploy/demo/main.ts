/**
 * `npm run demo`: two relay hosts in a row carry real multicast from a source that their kernels refuse, under one declared intent.
 * Ends with 0 only if every packet arrived at every receiver.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Fleet } from '../../test/fleet/fleet.ts';
import { Sender } from '../../test/fleet/probe.ts';
import { inUserNamespace, requireLabAccess } from '../../test/lab/access.ts';
import { Lab } from '../../test/lab/lab.ts';
import { labExists, removeLab, removeLeftovers } from '../../test/lab/leftovers.ts';
import { twoHosts } from '../../test/lab/topologies.ts';
import { carryStream } from './carry-stream.ts';
import { showKernelDrop } from './kernel-drop.ts';
import { lookInside, picture } from './picture.ts';
import { Screen } from './screen.ts';
import { grouped } from './table.ts';

const usage = `usage: npm run demo [-- --keep | --clean]

  --keep   leave everything running at the end, and say how to look inside
  --clean  end what --keep left running, or a demo that was killed
`;

const keptAs = 'demo';
const relays = fileURLToPath(new URL('relays.yaml', import.meta.url));
const stream = {
  interface: 'eth0',
  group: '239.1.1.1',
  port: 5001,
  source: '10.99.99.99',
  rate: 5_000,
  count: 30_000,
  size: 1316,
};

/** @returns whether everything was as it should be: the kernel refused the stream, and every packet of it was relayed. */
async function demo(lab: Lab, screen: Screen, keep: boolean, userNamespace: boolean): Promise<boolean> {
  const fleet = await Fleet.start(lab, {
    controller: 'controller',
    address: '10.9.0.1',
    hosts: { 'host-a': 'host-a', 'host-b': 'host-b' },
    logFiles: true,
  });
  screen.print('  a controller and two agents run; each agent started its data plane');

  screen.step('Without mcfleet: the kernel refuses the stream (rp_filter 1, no route back to 10.99.99.99)');
  const kernel = await showKernelDrop(lab, { ...stream, rate: 2_000, count: 1_000 });
  screen.print(
    `  sent ${grouped(kernel.sent)}, a program on host-a that joined 239.1.1.1 received ${grouped(kernel.received)}`,
    `  the kernel's drop counter TcpExtIPReversePathFilter rose by ${grouped(kernel.dropped)}`,
  );

  screen.step('With mcfleet: one declared intent for both hosts');
  screen.print('  $ mcfleet apply -f deploy/demo/relays.yaml --wait');
  const applied = await fleet.command(['apply', '-f', relays, '--wait']);
  for (const line of applied.trimEnd().split('\n')) screen.print(`  ${line}`);

  screen.step(`${grouped(stream.count)} packets of ${stream.size} bytes, ${grouped(stream.rate)} per second`);
  const verdicts = await carryStream(fleet, screen, stream);

  screen.step('Verdict of the receivers');
  for (const verdict of verdicts) {
    screen.print(`  ${verdict.complete ? screen.good('ok  ') : screen.bad('LOST')}  ${verdict.line}`);
  }
  const refused = kernel.received === 0 && kernel.dropped >= kernel.sent;
  if (!refused) screen.print(screen.bad('  NOT SHOWN  that the kernel refuses the stream: see its counters above'));
  if (keep) {
    new Sender(lab, 'source', { ...stream, rate: 1_000, count: 3_600_000 }, { logFile: `${lab.directory}/camera.log` });
    screen.step('It goes on running, with 1,000 packets per second for an hour. To look inside:');
    screen.print(...lookInside(fleet.controller.pid, fleet.server, lab.directory, userNamespace));
  }
  return refused && verdicts.every((verdict) => verdict.complete);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { keep: { type: 'boolean' }, clean: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help === true) {
    process.stdout.write(usage);
    return;
  }
  if (values.clean === true) {
    const isKept = labExists(keptAs);
    removeLab(keptAs);
    // Of demos and tests that were killed.
    const killed = removeLeftovers();
    process.stdout.write(isKept || killed.length > 0 ? 'ended what was left running\n' : 'no demo was left running\n');
    return;
  }
  const keep = values.keep === true;
  if (keep && labExists(keptAs)) {
    throw new Error('a demo runs already; "npm run demo -- --clean" ends it');
  }
  await requireLabAccess();

  const screen = new Screen(process.stdout);
  screen.print(screen.bold('mcfleet demo'), picture);
  const lab = await Lab.create(twoHosts(), keep ? { keepAs: keptAs } : {});
  try {
    process.exitCode = (await demo(lab, screen, keep, inUserNamespace())) ? 0 : 1;
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
  if (keep) lab.release();
  else await lab[Symbol.asyncDispose]();
}

try {
  await main();
} catch (error) {
  process.stderr.write(`demo: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
