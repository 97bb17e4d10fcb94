/** What one attempt at a rate showed. */
export interface Attempt {
  /** Packets per second that were really sent; less than asked for if the sender could not do more. */
  readonly rate: number;
  /** Every packet arrived, in time. */
  readonly lossless: boolean;
}

/** Bounds of a search. */
export interface SearchOptions {
  /** Packets per second that are taken to be possible for the worst relay. */
  readonly lowest: number;
  /** The sender's own ceiling. */
  readonly highest: number;
  /** The search ends when the known good and the known bad rate are this close: 0.05 is 5 %. */
  readonly precision: number;
  /** How often the answer must hold besides the attempt that found it. */
  readonly confirmations: number;
  /** Attempts in all, confirmations included. */
  readonly maxAttempts: number;
}

/** The answer of a search. */
export interface ZeroLossRate {
  /** Highest rate without loss, confirmed; 0 if there is none from `lowest` on. */
  readonly rate: number;
  /** Who sets the limit. "sender": no rate that the sender can do is lost, the relay may do more. */
  readonly limitedBy: 'relay' | 'sender';
  /** Times that the rate was confirmed; fewer than asked for if `maxAttempts` was reached. */
  readonly confirmed: number;
  readonly attempts: number;
}

/** A sender that does less than this part of what it was asked for is at its limit. */
export const KEEPS_UP = 0.97;

/**
 * Finds the highest rate that a relay carries without loss: bisection in equal ratios between `lowest` and `highest`, in which a rate is
 * bad if it loses twice, then confirmations, each of which must hold. A
 * confirmation that fails makes that rate a bad one, and a step of `precision` below it is confirmed instead.
 */
export async function findZeroLossRate(
  attempt: (rate: number) => Promise<Attempt>,
  options: SearchOptions,
): Promise<ZeroLossRate> {
  const { lowest, highest, precision, confirmations, maxAttempts } = options;
  let attempts = 0;
  const tryAt = async (rate: number): Promise<Attempt> => {
    attempts += 1;
    return await attempt(rate);
  };

  // One unlucky loss far below the limit would end the search there.
  const bestOfTwo = async (rate: number): Promise<Attempt> => {
    const first = await tryAt(rate);
    return first.lossless || attempts + confirmations >= maxAttempts ? first : await tryAt(rate);
  };

  let good: { asked: number; sent: number } | undefined;
  let bad = highest;
  let next = highest;
  for (;;) {
    let { rate, lossless } = await bestOfTwo(next);
    // The sender too may have been held up once.
    if (lossless && next !== highest && rate < next * KEEPS_UP && attempts + confirmations < maxAttempts) {
      const again = await tryAt(next);
      if (again.lossless) rate = Math.max(rate, again.rate);
    }
    if (lossless) good = { asked: next, sent: rate };
    else bad = next;
    const atItsLimit = lossless && rate < next * KEEPS_UP;
    if (next === highest ? lossless : atItsLimit) break;
    const low = good?.asked ?? lowest;
    if (bad / low <= 1 + precision || attempts + confirmations >= maxAttempts) break;
    next = Math.sqrt(low * bad);
  }

  let asked = good?.asked ?? lowest;
  let confirmed = 0;
  let sent = good?.sent ?? Number.POSITIVE_INFINITY;
  let most = good?.sent ?? 0;
  while (confirmed < confirmations && attempts < maxAttempts && asked >= lowest) {
    const { rate, lossless } = await tryAt(asked);
    if (lossless) {
      confirmed += 1;
      sent = Math.min(sent, rate);
      most = Math.max(most, rate);
    } else {
      confirmed = 0;
      sent = Number.POSITIVE_INFINITY;
      most = 0;
      asked /= 1 + precision;
    }
  }
  if (confirmed === 0) return { rate: 0, limitedBy: 'relay', confirmed, attempts };
  const bySender = asked === highest || most < asked * KEEPS_UP;
  return { rate: sent, limitedBy: bySender ? 'sender' : 'relay', confirmed, attempts };
}
