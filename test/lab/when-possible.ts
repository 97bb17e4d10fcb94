import { beforeEach, describe } from 'vitest';
import { labAccess } from './access.ts';

/** Why tests that make labs cannot run here; `undefined` if they can. */
export function labObstacle(): string | undefined {
  const access = labAccess();
  if (access.kind === 'direct') return undefined;
  if (access.kind === 'none') return access.reason;
  return 'needs root or a user namespace: "npm test" enters one, "node test/lab/enter.ts npx vitest" too';
}

/** A group of tests that make labs; each is skipped with the reason where that is not possible. */
export function describeWithLab(name: string, tests: () => void): void {
  describe(name, () => {
    beforeEach((context) => {
      const obstacle = labObstacle();
      if (obstacle !== undefined) context.skip(obstacle);
    });
    tests();
  });
}
