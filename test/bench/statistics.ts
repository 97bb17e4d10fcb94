/** The middle value; of an even number of values the mean of the two in the middle. @throws RangeError without values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values have no median');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Rounded to three significant digits: what is measured here does not repeat better than that. */
export function threeDigits(value: number): number {
  return Number(value.toPrecision(3));
}

/** A whole number for people: 1,234. */
export function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
