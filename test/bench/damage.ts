import type { Heard } from './prober-protocol.ts';

/** Packets that came, and should not have come so. */
export type Damage = Pick<Heard, 'duplicates' | 'reordered' | 'corrupt'>;

/** "2 duplicates", "1 corrupt"; empty if nothing was. */
export function damageList(heard: Damage): string[] {
  return (['duplicates', 'reordered', 'corrupt'] as const)
    .filter((key) => heard[key] > 0)
    .map((key) => `${heard[key]} ${key}`);
}
