import { describe } from 'vitest';
import { labAccess } from './access.ts';

/** A group of tests that make labs; skipped where that is not possible, with the reason in its name. */
export function describeWithLab(name: string, tests: () => void): void {
  const access = labAccess();
  if (access.kind === 'direct') {
    describe(name, tests);
    return;
  }
  const reason =
    access.kind === 'none'
      ? access.reason
      : 'needs root or a user namespace, which "node test/lab/enter.ts npx vitest" enters';
  describe.skip(`${name} [skipped: ${reason}]`, tests);
}
