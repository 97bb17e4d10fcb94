import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a directory and the missing ones above it, for its owner alone; does nothing if it is there. Not `mkdirSync` with `recursive`:
 * where the parent exists and the file system makes nothing in it (/proc), that never returns.
 *
 * @throws NodeJS.ErrnoException with the `path` that could not be made.
 */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || exists(parent)) throw error;
    makeDirectory(parent);
    makeDirectory(path);
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
