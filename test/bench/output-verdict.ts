import { damageList } from './damage.ts';
import type { CaseReport, CheckedOutput, CheckedOutputs } from './results.ts';
import { integer } from './statistics.ts';

/** What is wrong with an output that was heard by itself; `undefined` if nothing is. */
export function wrongAt(output: CheckedOutput): string | undefined {
  const { lost, sent, senders, same_sha256: same } = output;
  const found = damageList(output);
  if (lost > 0) found.unshift(`${lost} of ${sent} lost`);
  if (senders > 1) found.push(`packets of ${senders} senders`);
  else if (lost < 0) found.push(`${-lost} more than were sent`);
  if (found.length === 0 && !same) found.push('other SHA-256');
  return found.length === 0 ? undefined : found.join(', ');
}

/** Each wrong output with its place, and what came that none of them was to get; empty if all is right. */
export function wrongOutputs({ outputs, astray }: CheckedOutputs): readonly string[] {
  const wrong = outputs.flatMap((output) => {
    const flaw = wrongAt(output);
    return flaw === undefined ? [] : [`${placeOf(output)}: ${flaw}`];
  });
  return astray > 0 ? [...wrong, `${integer(astray)} packets came that no output was to send`] : wrong;
}

/** Why a relay whose outputs were heard one by one does not do what it was asked for; `undefined` if it does. */
export function outputsFlaw(each: CheckedOutputs | null): string | undefined {
  if (each === null) return undefined;
  const [first, ...more] = wrongOutputs(each);
  if (first === undefined) return undefined;
  const others = more.length === 0 ? '' : `, and ${more.length} more like that`;
  return `outputs heard one by one at ${integer(each.rate)} pps: ${first}${others}`;
}

/** For the column of a table. */
export function outputsVerdict({ outputs, astray, rate }: CheckedOutputs): string {
  const wrong = outputs.filter((output) => wrongAt(output) !== undefined).length;
  const found = [...(wrong > 0 ? [`${wrong} wrong`] : []), ...(astray > 0 ? [`${integer(astray)} astray`] : [])];
  return `each of ${outputs.length}: ${found.length === 0 ? 'ok' : found.join(', ')} at ${integer(rate)}`;
}

/** All that is wrong with outputs that were heard one by one; empty if nothing is. */
export function wrongOutputsList(cases: readonly CaseReport[]): string {
  const lines = cases.flatMap(({ id, results }) =>
    results.flatMap((result) => {
      if (result.kind !== 'throughput' || result.each_output === null) return [];
      return wrongOutputs(result.each_output).map((flaw) => `- ${id}, ${result.engine}: ${flaw}`);
    }),
  );
  return lines.length === 0 ? '' : `Outputs that are wrong, heard one by one:\n\n${lines.join('\n')}`;
}

function placeOf({ interface: at, group, port }: CheckedOutput): string {
  return `${group.includes(':') ? `[${group}]` : group}:${port} at ${at}`;
}
