import { bestRate } from './evidence.ts';
import { atLeast } from './judge.ts';
import { pps, type Rule, ratio } from './rule.ts';

/**
 * Cases that differ only in how the relay is set, the default setting first. All of these settings are documented ways to use it
 * (`--busy-poll-us`, `--exclusive-input` for a host that only relays), so the best of them is what is judged.
 */
type Settings = readonly [plain: string, ...others: string[]];

const SINGLE: Settings = ['1to1', 'spin-200', '1to1-exclusive', '1to1-exclusive-spin'];
const EIGHT: Settings = ['1to8', '1to8-spin', '1to8-exclusive', '1to8-exclusive-spin'];
const EIGHT_CUT_BY_KERNEL: Settings = ['1to8-no-uso', '1to8-no-uso-spin'];
const THIRTY_TWO: Settings = ['1to32', '1to32-spin', '1to32-exclusive-spin'];
const SUPER: Settings = ['super-48', 'super-48-spin', 'super-48-exclusive'];
const SHORTER_SUPER: Settings = ['super-1to1', 'super-1to1-spin', 'super-1to1-exclusive'];

/** The highest rates without loss. */
export const throughputRules: readonly Rule[] = [
  ...rate('1to1', '1 -> 1, 1316 B, single packets arriving, without loss', SINGLE, 'in_pps', 700_000),
  ...bestAndDefault(SINGLE, '1to1', '-to-socat', (id, ids) =>
    ratio(id, '1 -> 1, compared with tuned socat', ids, ['1to1', 'socat-tuned'], 5),
  ),
  ...bestAndDefault(SINGLE, '1to1', '-to-kernel-mfc', (id, ids) =>
    ratio(id, '1 -> 1, compared with the kernel MFC', ids, ['1to1', 'kernel-mfc'], 1.6),
  ),
  ...rate('1to8', '1 -> 8, packets out, the device segments', EIGHT, 'out_pps', 5_000_000),
  ...rate('1to8-software', '1 -> 8, packets out, the kernel segments', EIGHT_CUT_BY_KERNEL, 'out_pps', 1_200_000),
  ...rate('1to32', '1 -> 32, packets out', THIRTY_TWO, 'out_pps', 8_000_000),
  ...rate('super', '1 -> 1, super-frames of 48 arriving', SUPER, 'in_pps', 5_000_000),
  // The sender does little more with these: what it says of the relay is that it is not less.
  ...rate('super-20', '1 -> 1, super-frames of 20 arriving', SHORTER_SUPER, 'in_pps', 5_000_000).map(forComparison),
];

/** Shows a line beside those that count. */
function forComparison(rule: Rule): Rule {
  return rule.counts === false ? rule : { ...rule, what: `${rule.what} (for comparison)`, counts: false };
}

/** A line that counts, judged by the best of the settings, and beside it for comparison what the default setting reaches of the same. */
function bestAndDefault(
  settings: Settings,
  id: string,
  suffix: string,
  rule: (id: string, ids: readonly string[]) => Rule,
): readonly Rule[] {
  const plain = rule(`${id}-default${suffix}`, [settings[0]]);
  return [rule(`${id}${suffix}`, settings), forComparison({ ...plain, what: `${plain.what}: the default setting` })];
}

function rate(
  name: string,
  what: string,
  settings: Settings,
  of: 'in_pps' | 'out_pps',
  bound: number,
): readonly Rule[] {
  return bestAndDefault(settings, name, '-rate', (id, ids) => ({
    id,
    what,
    bound: `>= ${pps(bound)}`,
    needs: ids,
    judge: (cases) => atLeast(bestRate(cases, ids, 'mcfleet', of), bound, pps),
  }));
}
