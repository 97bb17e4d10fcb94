// Builds the addon with node-gyp against the headers of the Node that runs this script; nothing is downloaded.
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;

const pinned = join(here, '../node_modules/node/node_modules', `node-linux-${process.arch}`);

/** The directory that holds include/node for the running Node: of the pinned `node` package, or of a Node installed in a prefix. */
function findNodeHeaders(): string {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const found = [pinned, prefix].find((candidate) => existsSync(join(candidate, 'include/node/node_api.h')));
  if (found === undefined) {
    throw new Error(`native: no Node headers below ${pinned} or ${prefix}; run 'npm ci' at the repository root`);
  }
  return found;
}

// The `node` package installs its binary and headers in a script of its own, and every later `npm install` prunes what npm does
// not know of: the binary stays, the headers go.
if (existsSync(join(here, '../node_modules/node')) && !existsSync(pinned)) {
  spawnSync('npm', ['rebuild', 'node'], { cwd: join(here, '..'), stdio: ['ignore', 'inherit', 'inherit'] });
}

const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
const action = existsSync(join(here, 'build/Makefile')) && !process.argv.includes('--clean') ? 'build' : 'rebuild';
// Globs in binding.gyp are read by `configure`; it is cheap, so that a new source file is never forgotten.
const steps = action === 'rebuild' ? ['rebuild'] : ['configure', 'build'];
for (const step of steps) {
  const run = spawnSync(
    process.execPath,
    [nodeGyp, step, `--nodedir=${findNodeHeaders()}`, '--loglevel=warn', '-j', 'max'],
    {
      cwd: here,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  if (run.status !== 0) process.exit(run.status ?? 1);
}
