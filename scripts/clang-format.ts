// Formats the C++ sources (--write) or fails if one is not formatted (--check).
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** Other versions format some lines differently; Debian 12 and Ubuntu 22.04 have this one. */
const MAJOR = '14';
const INSTALL = `apt-get install clang-format-${MAJOR}`;

/** The command that is clang-format of the right version, or why there is none. */
function findFormatter(): { readonly command: string } | { readonly missing: string } {
  let found: string | undefined;
  for (const command of [`clang-format-${MAJOR}`, 'clang-format']) {
    const version = /version (\d+)/.exec(spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1];
    if (version === MAJOR) return { command };
    found ??= version;
  }
  const state = found === undefined ? 'is not installed' : `has version ${found} here`;
  return { missing: `clang-format ${MAJOR} is needed and ${state}; ${INSTALL}` };
}

function main(mode: string | undefined): number {
  if (mode !== '--check' && mode !== '--write') {
    console.error('usage: node scripts/clang-format.ts --check | --write');
    return 2;
  }
  const formatter = findFormatter();
  if ('missing' in formatter) {
    const mustRun = process.env.CI !== undefined && process.env.CI !== '' && process.env.CI !== 'false';
    console.error(`${mustRun ? 'failed' : 'SKIPPED'}: format of C++ sources: ${formatter.missing}`);
    return mustRun ? 1 : 0;
  }
  const files = globSync(['native/{src,test}/**/*.{cc,h}', 'test/experiments/**/*.cc'], { cwd: ROOT });
  if (files.length === 0) {
    console.error('failed: there are no C++ sources');
    return 1;
  }
  const args = mode === '--write' ? ['-i'] : ['--dry-run', '--Werror'];
  const { status } = spawnSync(formatter.command, [...args, ...files], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0)
    console.error(`clang-format: ${files.length} files ${mode === '--write' ? 'formatted' : 'checked'}`);
  return status === 0 ? 0 : 1;
}

process.exitCode = main(process.argv[2]);
