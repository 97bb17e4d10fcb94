import { refusal } from '../errors.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };
const MAX_MS = 60 * 60 * 1000;

/** Milliseconds of "200ms", "15s" or "2m": 1 ms to 1 h. @throws FleetError INVALID_CONFIG */
export function parseInterval(name: string, text: string): number {
  const match = /^(\d+)(ms|s|m)$/.exec(text);
  const ms = Number(match?.[1]) * (UNITS[match?.[2] ?? ''] ?? Number.NaN);
  if (ms >= 1 && ms <= MAX_MS) return ms;
  throw refusal('INVALID_CONFIG', `${name} ${text} is not an interval of 1ms to 60m: write it as 200ms, 15s or 2m`);
}
