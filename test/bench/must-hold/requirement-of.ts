import type { CaseReport } from '../results.ts';
import { judge, type Requirement } from './requirements.ts';

/** For tests: one line of what must hold, as it is judged by these cases. */
export function requirementOf(id: string, ...cases: readonly CaseReport[]): Requirement {
  const found = judge(cases).find((one) => one.id === id);
  if (found === undefined) throw new Error(`there is no requirement ${id}`);
  return found;
}
