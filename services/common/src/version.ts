import { createRequire } from 'node:module';

/** Version of mcfleet, as package.json says. */
export const VERSION: string = (createRequire(import.meta.url)('../package.json') as { version: string }).version;
