/**
 * `npm run acceptance`: what must hold, at full figures, with the real programs. Each check prints its result; ends with 0 only if all
 * hold. `-- --only NAME` runs those whose name begins so, `-- --list` tells the names.
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { requireLabAccess } from '../lab/access.ts';
import type { Check, Outcome } from './check.ts';
import { killChecks } from './kills.ts';
import { ruleChangeChecks } from './rule-changes.ts';
import { socatChecks } from './socat.ts';
import { streamChecks } from './streams.ts';

const checks: readonly Check[] = [...streamChecks, ...ruleChangeChecks, ...killChecks, ...socatChecks];

const words = { holds: 'HOLDS', fails: 'FAILS', figure: 'FOR COMPARISON', skipped: 'SKIPPED' } as const;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { only: { type: 'string', multiple: true }, list: { type: 'boolean' } },
  });
  if (values.list === true) {
    for (const check of checks) process.stdout.write(`${check.name.padEnd(26)}${check.title}\n`);
    return;
  }
  const chosen = checks.filter((check) => values.only?.some((name) => check.name.startsWith(name)) ?? true);
  if (chosen.length === 0)
    throw new Error(`no check is named so; there are ${checks.map((check) => check.name).join(', ')}`);
  await requireLabAccess();

  const outcomes: Outcome[] = [];
  for (const check of chosen) {
    // Two cores: what else runs on the machine tells in the result.
    process.stdout.write(`\n${check.name}: ${check.title} (load average ${loadavg()[0]?.toFixed(1)})\n`);
    const outcome = await check.run().catch((error: Error): Outcome => ({ kind: 'fails', lines: [error.message] }));
    outcomes.push(outcome);
    for (const line of outcome.lines) process.stdout.write(`  ${line}\n`);
    process.stdout.write(`  ${words[outcome.kind]}\n`);
  }
  const count = (kind: Outcome['kind']): number => outcomes.filter((outcome) => outcome.kind === kind).length;
  process.stdout.write(
    `\n${count('holds')} hold, ${count('fails')} fail, ${count('skipped')} skipped, ${count('figure')} for comparison\n`,
  );
  process.exitCode = count('fails') === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`acceptance: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
