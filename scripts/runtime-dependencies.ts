import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Directories of all packages that the packages in `roots` need to run, themselves left out: what Node finds when it resolves their
 * dependencies, and the dependencies of those. Type declarations do not run.
 *
 * @param isOwn says of a package's name whether it is one of ours
 */
export function runtimeDependencies(roots: readonly string[], isOwn: (name: string) => boolean): ReadonlySet<string> {
  const found = new Set<string>();
  const queue = [...roots];
  for (let from = queue.pop(); from !== undefined; from = queue.pop()) {
    const { dependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(from, 'package.json'), 'utf8'),
    ) as Manifest;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (isOwn(name) || name.startsWith('@types/')) continue;
      const directory = resolvePackage(name, from);
      if (directory === undefined) {
        if (optionalDependencies?.[name] !== undefined) continue;
        throw new Error(`${name}, which ${from} needs, is not installed; run 'npm ci'`);
      }
      if (found.has(directory)) continue;
      found.add(directory);
      queue.push(directory);
    }
  }
  return found;
}

/** As Node resolves it: the nearest node_modules that has it, from the inside out. */
function resolvePackage(name: string, from: string): string | undefined {
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (directory === dirname(directory)) return undefined;
  }
}
