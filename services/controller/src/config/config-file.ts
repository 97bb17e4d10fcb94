import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import type { Settings } from './options.ts';

/** What a file may set, by name. */
type Keys = Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;

/**
 * Reads a configuration file: a YAML map with the names of the options as keys.
 *
 * @param wrong gets everything that is wrong, with file, line and column; what is wrong is not among the settings
 */
export function readConfigFile(path: string, text: string, keys: Keys, wrong: (problem: string) => void): Settings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  // Of errors of the structure, others may only follow.
  const syntaxError = document.errors.find(({ code }) => code !== 'DUPLICATE_KEY');
  if (syntaxError !== undefined) {
    wrongAt(syntaxError.pos[0], syntaxError.message);
    return {};
  }
  for (const { pos, message } of document.errors) wrongAt(pos[0], message);
  const root = document.contents;
  if (root === null) return {};
  if (!isMap(root)) {
    wrongAt(root.range?.[0] ?? 0, 'the file must be a map of options');
    return {};
  }
  const settings: Record<string, string | boolean> = {};
  for (const { key, value } of root.items) {
    const name = isScalar(key) ? String(key.value) : '';
    const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
    const known = Object.hasOwn(keys, name) ? keys[name] : undefined;
    if (known === undefined) {
      wrongAt(offset, `unknown key ${JSON.stringify(name)}: ${Object.keys(keys).join(', ')} are known`);
      continue;
    }
    const found = isScalar(value) ? value.value : undefined;
    if (typeof found === known.type) {
      settings[name] = found as string | boolean;
      continue;
    }
    const place = isScalar(value) ? (value.range?.[0] ?? offset) : offset;
    wrongAt(place, `${name} must be a ${known.type === 'string' ? 'text' : 'boolean, true or false'}`);
  }
  return settings;

  function wrongAt(offset: number, message: string): void {
    const { line, col } = lines.linePos(offset);
    wrong(`${path}:${line}:${col}: ${message}`);
  }
}
