import { FOLLOWED } from '../content-check.ts';
import { damageList } from '../damage.ts';
import type { Checked, CheckedAt, ThroughputResult } from '../results.ts';
import { integer } from '../statistics.ts';

/** What a receiver had to complain about; `undefined` if nothing. */
export function receivedWrong(checked: CheckedAt): string | undefined {
  return damaged(checked) ?? missing(checked);
}

/** What came but should not have come so. What did not come is another matter: then the fingerprint says nothing either. */
export function damaged(checked: CheckedAt): string | undefined {
  const wrong = damageList(checked);
  if (wrong.length > 0) return `at the receiver ${wrong.join(', ')}`;
  if (checked.lost !== 0 || checked.same_sha256) return undefined;
  return 'at the receiver another SHA-256 than the sender has';
}

/** What did not come. */
export function missing({ lost, sent, rate }: CheckedAt): string | undefined {
  return lost === 0 ? undefined : `at the receiver ${lost} of ${sent} lost, at ${rate} pps`;
}

/**
 * What the relay itself lost while a receiver looked at the content, at a rate that did not hold afterwards either: the search, too, calls a
 * rate bad if it loses twice. Delivery of super-frames to a plain receiver takes the relay's core; there the one that takes them whole
 * tells.
 */
export function lostByRelay(checked: Checked): string | undefined {
  const { earlier, rate } = checked.whole ?? checked;
  const bad = earlier.find((one) => one.missing_at_interface > 0 && rate < one.rate * FOLLOWED);
  if (bad === undefined) return undefined;
  const copies = integer(bad.missing_at_interface);
  return `${copies} copies did not come to the receiver's interface at ${integer(bad.rate)} pps; content checked at ${integer(rate)} pps`;
}

/** At which rate the content was looked at, if that is less than the rate that was found. */
export function checkedAtLess({ checked, in_pps: found }: ThroughputResult): string | undefined {
  if (checked.rate >= found * FOLLOWED) return undefined;
  const whole = checked.whole === null ? '' : `, of super-frames taken whole at ${integer(checked.whole.rate)} pps`;
  return `content checked at ${integer(checked.rate)} pps in${whole}`;
}
