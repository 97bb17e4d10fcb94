const units = [
  { ms: 86_400_000, name: 'd' },
  { ms: 3_600_000, name: 'h' },
  { ms: 60_000, name: 'm' },
  { ms: 1000, name: 's' },
] as const;

/** How long ago something was, as "5s", "3m12s", "2h5m", "4d3h", "120d"; "-" if it never was. A clock ahead of ours counts as now. */
export function age(time: Date | undefined, nowMs: number): string {
  if (time === undefined) return '-';
  let left = Math.max(0, nowMs - time.getTime());
  const first = units.findIndex(({ ms }) => left >= ms);
  const unit = units[first];
  if (unit === undefined) return '0s';
  const count = Math.floor(left / unit.ms);
  left -= count * unit.ms;
  const next = units[first + 1];
  const rest = next === undefined || count >= 10 ? 0 : Math.floor(left / next.ms);
  return `${count}${unit.name}${rest === 0 || next === undefined ? '' : `${rest}${next.name}`}`;
}
