import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const path = join(import.meta.dirname, 'build/Release/mcfleet.node');

/**
 * Loads the addon. Its functions take and give plain objects; `null`, never `undefined`, where there is no value.
 *
 * @throws Error if it was not built.
 */
export function loadAddon<Api>(): Api {
  if (!existsSync(path)) throw new Error(`the native addon is not built (${path}); run 'npm run build:native'`);
  return createRequire(import.meta.url)(path) as Api;
}
