import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files whose tests wait for most of a minute: beside them the others have time to run. */
const LONG = ['/duplicate-agent.test.ts'];

/** The order of vitest, which takes large files for long where it has not run them before, but for files that are small and long. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.some((name) => moduleId.endsWith(name));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
