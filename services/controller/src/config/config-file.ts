import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { refusal } from '../errors.ts';
import type { Settings } from './options.ts';

/** What a file may set, by name. */
type Keys = Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;

/**
 * Reads a configuration file: a YAML map with the names of the options as keys.
 *
 * @throws FleetError INVALID_CONFIG with file, line and column
 */
export function readConfigFile(path: string, text: string, keys: Keys): Settings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) throw at(error.pos[0], error.message);
  const root = document.contents;
  if (root === null) return {};
  if (!isMap(root)) throw at(root.range?.[0] ?? 0, 'the file must be a map of options');
  const settings: Record<string, string | boolean> = {};
  for (const { key, value } of root.items) {
    const name = isScalar(key) ? String(key.value) : '';
    const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
    const known = Object.hasOwn(keys, name) ? keys[name] : undefined;
    if (known === undefined)
      throw at(offset, `unknown key ${JSON.stringify(name)}: ${Object.keys(keys).join(', ')} are known`);
    const found = isScalar(value) ? value.value : undefined;
    if (typeof found !== known.type) {
      const place = isScalar(value) ? (value.range?.[0] ?? offset) : offset;
      throw at(place, `${name} must be a ${known.type === 'string' ? 'text' : 'boolean, true or false'}`);
    }
    settings[name] = found as string | boolean;
  }
  return settings;

  function at(offset: number, message: string): Error {
    const { line, col } = lines.linePos(offset);
    return refusal('INVALID_CONFIG', `${path}:${line}:${col}: ${message}`);
  }
}
