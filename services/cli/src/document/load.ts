import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_ADMIN_MESSAGE_BYTES } from '@mcfleet/common/grpc/limits';
import { duplicateNames, parseRelays, type SourcedRelay } from './parse.ts';
import { compareViolations, type Violation } from './position.ts';

/** A file may be this large, in bytes: as the API's largest message, which holds the same in fewer. */
const maxFileBytes = MAX_ADMIN_MESSAGE_BYTES;

/** A file that cannot be read at all; the message names it and says what to do. */
export class UnreadableFile extends Error {
  override name = 'UnreadableFile';
}

/** What files say, all together. */
export interface LoadedRelays {
  /** In the order of the files and of the documents in them. */
  readonly relays: readonly SourcedRelay[];
  /** Every violation, in the order in which a reader meets them. */
  readonly violations: readonly Violation[];
  /** The files as they are shown, in the order they were read. */
  readonly files: readonly string[];
}

/**
 * Reads the relays of files, directories (their *.yaml, *.yml and *.json, not those of directories below) and "-" (standard
 * input).
 * @throws UnreadableFile if one cannot be read.
 */
export function loadRelays(paths: readonly string[]): LoadedRelays {
  const relays: SourcedRelay[] = [];
  const violations: Violation[] = [];
  const files: string[] = [];
  for (const { shown, bytes } of paths.flatMap(readSources)) {
    files.push(shown);
    const decoded = decode(shown, bytes);
    if (typeof decoded !== 'string') {
      violations.push(decoded);
      continue;
    }
    const parsed = parseRelays(shown, decoded);
    relays.push(...parsed.relays);
    violations.push(...parsed.violations);
  }
  violations.push(...duplicateNames(relays));
  violations.sort((a, b) => compareViolations(a, b, files));
  return { relays, violations, files };
}

/**
 * The text of one file, or of "-" (standard input); bytes that are not UTF-8 become U+FFFD.
 * @throws UnreadableFile if it cannot be read.
 */
export function readText(path: string): string {
  if (path === '-') return readStandardInput().toString('utf8');
  try {
    return readBounded(path).toString('utf8');
  } catch (thrown) {
    if (thrown instanceof UnreadableFile) throw thrown;
    throw new UnreadableFile(`${path}: ${reason(thrown)}`, { cause: thrown });
  }
}

interface Source {
  readonly shown: string;
  readonly bytes: Buffer;
}

function readSources(path: string): Source[] {
  if (path === '-') return [{ shown: '<stdin>', bytes: readStandardInput() }];
  try {
    if (!statSync(path).isDirectory()) return [{ shown: path, bytes: readBounded(path) }];
    const names = readdirSync(path)
      .filter((name) => /\.(ya?ml|json)$/.test(name) && !name.startsWith('.'))
      .sort();
    if (names.length === 0) throw new UnreadableFile(`${path}: holds no *.yaml, *.yml or *.json file`);
    return names.map((name) => ({ shown: join(path, name), bytes: readBounded(join(path, name)) }));
  } catch (thrown) {
    if (thrown instanceof UnreadableFile) throw thrown;
    throw new UnreadableFile(`${path}: ${reason(thrown)}`, { cause: thrown });
  }
}

function readBounded(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    return readAll(file, path);
  } finally {
    closeSync(file);
  }
}

function readStandardInput(): Buffer {
  try {
    return readAll(0, '<stdin>');
  } catch (thrown) {
    if (thrown instanceof UnreadableFile) throw thrown;
    throw new UnreadableFile(`<stdin>: ${reason(thrown)}`, { cause: thrown });
  }
}

/** Until the end, or until it is too much: the size of a pipe or device is not known before. */
function readAll(file: number, shown: string): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  const waiter = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const chunk = Buffer.alloc(65_536);
    let count: number;
    try {
      count = readSync(file, chunk);
    } catch (thrown) {
      const code = (thrown as NodeJS.ErrnoException).code;
      if (code === 'EOF') break;
      if (code !== 'EAGAIN') throw thrown;
      // Someone else made the pipe non-blocking: nothing has been written to it yet.
      Atomics.wait(waiter, 0, 0, 20);
      continue;
    }
    if (count === 0) break;
    total += count;
    if (total > maxFileBytes) throw new UnreadableFile(`${shown}: is larger than 32 MiB: split it`);
    chunks.push(chunk.subarray(0, count));
  }
  return Buffer.concat(chunks);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
};

function reason(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException;
  return reasons[code ?? ''] ?? message;
}

/** The text of a file, or the violation at the first byte that is not UTF-8. */
function decode(file: string, bytes: Buffer): string | Violation {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const { line, column } = firstBadByte(bytes);
    const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    const message = utf16 ? 'is UTF-16: save it as UTF-8' : 'is not UTF-8 text: save it as UTF-8';
    return { position: { file, line, column }, path: '', message };
  }
}

function firstBadByte(bytes: Buffer): { line: number; column: number } {
  // Longest valid prefix by bisection: a prefix that ends inside a character is fine in stream mode.
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle;
    }
  }
  const before = bytes.subarray(0, good);
  const line = before.reduce((count, byte) => (byte === 10 ? count + 1 : count), 1);
  const lineStart = before.lastIndexOf(10) + 1;
  return { line, column: [...before.subarray(lineStart).toString('utf8')].length + 1 };
}
