import { quote } from '@mcfleet/common/quote';
import type { Violations } from './violations.ts';

type StringMap = Readonly<Record<string, string>>;

/** The most labels that one object or selector carries. */
export const MAX_LABELS = 64;
/** The most bytes that the annotations of one object take, keys and values together. */
export const MAX_ANNOTATION_BYTES = 256 * 1024;
/** The most characters of a display name. */
export const MAX_DISPLAY_NAME = 256;

const NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
const NAME_RULE = 'at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends';

/** Path of one entry of a map: `labels.site`, or `labels["example.com/site"]` where the key is no plain word. */
export function mapEntryPath(path: string, key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? `${path}.${key}` : `${path}[${quote(key)}]`;
}

/** Labels, with the limits of Kubernetes: what selectors match must be short and free of odd characters. */
export function validateLabels(labels: StringMap, path: string, violations: Violations): void {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) {
    violations.add(path, `has ${entries.length} labels; at most ${MAX_LABELS} are allowed`);
  }
  for (const [key, value] of entries) {
    const at = mapEntryPath(path, key);
    validateKey(key, at, violations);
    if (value !== '' && !NAME.test(value))
      violations.add(at, `value ${quote(value)} is not a label value: ${NAME_RULE}`);
  }
}

/** Annotations: keys as those of labels, any text as value, bounded as a whole. */
export function validateAnnotations(annotations: StringMap, path: string, violations: Violations): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    validateKey(key, mapEntryPath(path, key), violations);
  }
  if (bytes > MAX_ANNOTATION_BYTES) {
    violations.add(path, `takes ${bytes} bytes; at most ${MAX_ANNOTATION_BYTES} are allowed`);
  }
}

/** A name for people. */
export function validateDisplayName(name: string, path: string, violations: Violations): void {
  const length = Array.from(name).length;
  if (length > MAX_DISPLAY_NAME) {
    violations.add(path, `has ${length} characters; at most ${MAX_DISPLAY_NAME} are allowed`);
  }
}

function validateKey(key: string, path: string, violations: Violations): void {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  if (prefix !== undefined && (prefix.length > 253 || !DNS_SUBDOMAIN.test(prefix))) {
    violations.add(path, `key ${quote(key)}: before "/" stands a DNS name in lower case, at most 253 characters`);
  }
  if (!NAME.test(key.slice(slash + 1))) {
    violations.add(path, `key ${quote(key)} is not a label key: ${NAME_RULE}; a DNS name and "/" may stand before it`);
  }
}
