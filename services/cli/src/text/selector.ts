import { UsageError } from '../exit.ts';

/**
 * Labels of "role=edge,site=studio-2".
 * @throws UsageError
 */
export function parseSelector(text: string): Record<string, string> {
  const pairs = text.split(',').map((part) => {
    const match = /^\s*([^=!\s]+)={1,2}([^=\s]*)\s*$/.exec(part);
    if (match === null) {
      throw new UsageError(
        `selector "${text}": "${part.trim()}" is not KEY=VALUE; write for example -l role=edge,site=studio-2`,
      );
    }
    return [match[1] ?? '', match[2] ?? ''] as const;
  });
  const keys = pairs.map(([key]) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined)
    throw new UsageError(`selector "${text}": "${twice}" is given twice; no object can match both`);
  return Object.fromEntries(pairs);
}

/** True if `labels` carry every label of the selector. */
export function matches(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}
