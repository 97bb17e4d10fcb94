import type { Heard } from './prober-protocol.ts';

/** Packets that came, and should not have come so. Times of what came with some of them are compared with none: it is not what was sent. */
export type Damage = Pick<Heard, 'duplicates' | 'reordered' | 'corrupt'>;

/** "2 duplicates", "1 corrupt"; empty if nothing was. */
export function damageList(heard: Damage): string[] {
  return (['duplicates', 'reordered', 'corrupt'] as const)
    .filter((key) => heard[key] > 0)
    .map((key) => `${heard[key]} ${key}`);
}
