import { FOLLOWED } from './content-check.ts';
import { damageList } from './damage.ts';
import { outputsVerdict } from './output-verdict.ts';
import type { CaseReport, CheckedAt, ThroughputResult } from './results.ts';
import { integer } from './statistics.ts';

/** What UDP receivers said, and at which rates. */
export function checkVerdict({ checked, each_output: each }: ThroughputResult): string {
  const found = [verdictOf(checked)];
  if (checked.whole !== null) found.push(`whole: ${verdictOf(checked.whole)}`);
  if (each !== null) found.push(outputsVerdict(each));
  return found.join('; ');
}

/** Where a plain receiver could not follow the rate that was found, and what bounds it; empty if there is none. */
export function checkedAtLessList(cases: readonly CaseReport[]): string {
  const lines = cases.flatMap(({ id, results }) =>
    results.flatMap((result) => {
      if (result.kind !== 'throughput' || result.checked.rate >= result.in_pps * FOLLOWED) return [];
      return [`- ${id}, ${result.engine}: ${boundOf(result.checked)}`];
    }),
  );
  return lines.length === 0 ? '' : `Checked at less than the rate that was found:\n\n${lines.join('\n')}`;
}

function verdictOf(checked: CheckedAt): string {
  const found = damageList(checked);
  if (checked.lost > 0) found.unshift(`${checked.lost} lost`);
  if (found.length === 0) found.push(checked.same_sha256 ? 'ok' : 'other SHA-256');
  return `${found.join(', ')} at ${integer(checked.rate)}`;
}

function boundOf({ earlier, rate }: CheckedAt): string {
  const last = earlier.at(-1);
  // Every payload has a pattern of its own here; and where the kernel forwards, it also delivers on the sender's core.
  if (last === undefined) return `the sender, which writes each payload anew here, did ${integer(rate)} pps`;
  const missed = `${integer(last.sent - last.received)} of ${integer(last.sent)}`;
  const where =
    last.missing_at_interface > 0
      ? "at its interface too: delivery to its socket takes the relay's core"
      : 'which its socket lost';
  return `at ${integer(last.rate)} pps a plain UDP receiver missed ${missed}, ${where}`;
}
