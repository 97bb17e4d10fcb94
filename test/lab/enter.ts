/**
 * Runs a command that makes labs: `node test/lab/enter.ts COMMAND ARGUMENT...`. As root it just runs it; otherwise inside a user
 * namespace, and where that is forbidden it runs it all the same, so that tests which need no lab run and the others say why they do
 * not.
 */

import { spawnSync } from 'node:child_process';
import { labAccess, runWithLabAccess } from './access.ts';

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  process.stderr.write('usage: node test/lab/enter.ts COMMAND [ARGUMENT...]\n');
  process.exitCode = 2;
} else if (labAccess().kind === 'none') {
  process.exitCode = spawnSync(program, args, { stdio: 'inherit' }).status ?? 1;
} else {
  process.exitCode = await runWithLabAccess([program, ...args]);
}
