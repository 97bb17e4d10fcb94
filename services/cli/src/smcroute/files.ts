import { globSync, statSync } from 'node:fs';
import { readText } from '../document/load.ts';
import type { ConfFiles } from './conf.ts';

/** Configurations on this machine; "-" is standard input. Relative names count from the working directory, as smcrouted takes them. */
export const confFiles: ConfFiles = {
  read: readText,
  match(pattern) {
    // Patterns of Node know more than those of glob(3), which is what smcroute uses: alternatives, and directories at any depth.
    const plain = pattern.replaceAll(/\*{2,}/g, '*').replaceAll(/[{}]/g, '[$&]');
    return globSync(plain)
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true)
      .sort();
  },
};
