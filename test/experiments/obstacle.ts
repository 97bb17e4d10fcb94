import { spawnSync } from 'node:child_process';
import { beforeEach } from 'vitest';
import { describeWithLab } from '../lab/when-possible.ts';

const packages: Readonly<Record<string, string>> = { nft: 'nftables', socat: 'socat', 'c++': 'g++' };

/** Experiments that need a lab and these programs; each is skipped with the reason where something is missing. */
export function describeExperiment(name: string, programs: readonly string[], tests: () => void): void {
  describeWithLab(name, () => {
    beforeEach((context) => {
      const missing = programs.find((program) => spawnSync(program, ['--version']).error !== undefined);
      if (missing !== undefined)
        context.skip(`${missing} is not installed (apt-get install ${packages[missing] ?? missing})`);
    });
    tests();
  });
}
