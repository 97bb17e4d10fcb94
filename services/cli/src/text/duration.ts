const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Node's timers hold no more milliseconds than this. */
const longestMs = 2 ** 31 - 1;

/** Milliseconds of "500ms", "10s", "2m", "1h", or of a bare number of seconds; undefined if it is none, or not above zero. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (match === null) return undefined;
  const ms = Math.round(Number(match[1]) * (units[match[2] ?? 's'] ?? 0));
  return ms > 0 && ms <= longestMs ? ms : undefined;
}
