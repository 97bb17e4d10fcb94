import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import {
  type Document,
  type ErrorCode,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
  type YAMLParseError,
} from 'yaml';
import { mostSimilar } from '../text/similar.ts';
import { isOfApi, readOfApi } from './api-relays.ts';
import { documentPath, jsonPath } from './field-paths.ts';
import { maxNesting, tooDeepAt } from './nesting.ts';
import type { Position, Violation } from './position.ts';
import { joinPath, PositionTree } from './position-tree.ts';
import type { Cursor } from './reader.ts';
import { relayDocument, relayKind, resemblesDocument, toRelay } from './relay-document.ts';

/** Aliases (`*name`) in one document, at most. Each costs a walk over the document, and nobody writes this many by hand. */
const maxAliases = 100;

/** Syntax errors shown of one document, at most. */
const maxSyntaxErrors = 10;

/** One relay of a file, and where everything in it stands. */
export interface SourcedRelay {
  /** What could be read; in place of the rest are stand-ins. */
  readonly relay: Relay;
  /** Keyed by YAML keys, from the top of the document. */
  readonly tree: PositionTree;
  /** Paths in the document of what could not be read; all of it is among the violations. */
  readonly unread: Set<string>;
  /** The path in the document of a field of the relay. */
  pathOf(field: readonly string[]): string[];
}

/** What a file says. */
export interface ParsedFile {
  readonly relays: readonly SourcedRelay[];
  readonly violations: readonly Violation[];
}

/** Reads all documents of a file (YAML 1.2 core schema, so JSON too). Finds every violation, not only the first. */
export function parseRelays(file: string, content: string): ParsedFile {
  const lines = new LineCounter();
  const start: Position = { file, line: 1, column: 1 };
  const deep = tooDeepAt(content);
  if (deep !== undefined) {
    const message = `is nested more than ${maxNesting} levels deep; nothing of a relay is deeper than 6`;
    return { relays: [], violations: [{ position: positionAt(file, content, deep), path: '', message }] };
  }
  const parsed = parseAllDocuments(content, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    // Ours looks for duplicates too, with the place of the first, and without comparing each key with each.
    uniqueKeys: false,
    prettyErrors: false,
  });
  const documents: Document[] = Array.isArray(parsed) ? parsed : [];
  const relays: SourcedRelay[] = [];
  const violations = versionViolations(documents, file, content, lines);
  let isEmpty = true;
  for (const document of documents) {
    const isBroken = document.errors.length > 0;
    const syntax = syntaxViolations(document, file, lines);
    violations.push(...syntax.violations);
    if (syntax.violations.length > 0 || !holdsNothing(document)) isEmpty = false;
    // What a broken document seems to say is guesswork.
    if (isBroken || syntax.isTooMuch || holdsNothing(document)) continue;
    relays.push(...readDocument(document, file, lines, violations));
  }
  if (isEmpty) {
    const message = 'holds no document; expected apiVersion, kind, metadata and spec';
    violations.push({ position: start, path: '', message });
  }
  return { relays, violations };
}

function positionAt(file: string, content: string, offset: number): Position {
  const before = content.slice(0, offset);
  return { file, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

function holdsNothing(document: Document): boolean {
  return document.contents === null || (isScalar(document.contents) && document.contents.value === null);
}

/** Documents that are marked as YAML of another version: one violation for each mark, which may stand for many documents. */
function versionViolations(
  documents: readonly Document[],
  file: string,
  content: string,
  lines: LineCounter,
): Violation[] {
  const marks = [...content.matchAll(/^%YAML.*$/gm)].map(({ index }) => index);
  const found = new Map<number, string>();
  for (const { directives, range, contents } of documents) {
    const { explicit, version } = directives?.yaml ?? {};
    if (explicit !== true || version === undefined || version === '1.2') continue;
    const begin = contents?.range?.[0] ?? range?.[0] ?? 0;
    found.set(marks.findLast((mark) => mark < begin) ?? 0, version);
  }
  return [...found].map(([offset, version]) => {
    const { line, col } = lines.linePos(offset);
    const message = `is marked as YAML ${version}: remove the %YAML line (YAML 1.2 is read)`;
    return { position: { file, line, column: col }, path: '', message };
  });
}

function syntaxViolations(
  document: Document,
  file: string,
  lines: LineCounter,
): { violations: Violation[]; isTooMuch: boolean } {
  const found = [...causes(document.errors), ...document.warnings].slice(0, maxSyntaxErrors);
  const violations: Violation[] = found.map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { position: { file, line, column: col }, path: '', message: syntaxMessage(error.message) };
  });
  let aliases = 0;
  visit(document, {
    Alias(_key, node) {
      aliases++;
      if (aliases <= maxAliases) return undefined;
      const { line, col } = lines.linePos(node.range?.[0] ?? 0);
      violations.push({
        position: { file, line, column: col },
        path: '',
        message: `more than ${maxAliases} aliases (*${node.source}): write the values out`,
      });
      return visit.BREAK;
    },
  });
  return { violations, isTooMuch: aliases > maxAliases };
}

/** Errors of a single value: what surrounds it is read as it is meant. */
const errorsOfValues: readonly ErrorCode[] = ['BAD_ALIAS', 'BAD_DQ_ESCAPE', 'BAD_SCALAR_START', 'TAG_RESOLVE_FAILED'];

/**
 * Errors without those that may only follow from one before: where the structure is lost the parser stumbles over the lines after
 * it, which are as they should be. Tabs, and errors of single values, stand for themselves wherever they are.
 */
function causes(errors: readonly YAMLParseError[]): YAMLParseError[] {
  let isLost = false;
  return errors.filter(({ code, message }) => {
    if (errorsOfValues.includes(code) || (code === 'UNEXPECTED_TOKEN' && message.endsWith('at node end'))) return true;
    const isFirst = !isLost;
    isLost = true;
    return isFirst || code === 'TAB_AS_INDENT';
  });
}

/** The parser's message as a sentence of ours. */
function syntaxMessage(message: string): string {
  const text = message.replace(/\.$/, '').replace(/\s+/g, ' ');
  return `is not valid YAML: ${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

/** The relays of a document: one, or with JSON of the API any number. */
function readDocument(document: Document, file: string, lines: LineCounter, violations: Violation[]): SourcedRelay[] {
  const contents = document.contents;
  if (!isNode(contents)) return [];
  const top = lines.linePos(contents.range?.[0] ?? 0);
  const tree = new PositionTree({ file, line: top.line, column: top.col });
  const unread = new Set<string>();
  const cursor: Cursor = { file, document, lines, violations, unread, path: [], tree };
  if (!isOfApi(contents)) return readRelayDocument(contents, cursor);
  const relays = readOfApi(contents, cursor);
  if (relays.length === 0 && unread.size === 0) {
    violations.push({ position: tree.position, path: '', message: 'holds no relay: there is nothing to do' });
  }
  return relays.map(({ relay, path }) => ({ relay, tree, unread, pathOf: (field) => [...path, ...jsonPath(field)] }));
}

function readRelayDocument(contents: Node, cursor: Cursor): SourcedRelay[] {
  const { tree, unread, violations } = cursor;
  if (isMap(contents) && !resemblesDocument(contents)) {
    const message = 'is no document of a relay; expected apiVersion, kind, metadata and spec';
    violations.push({ position: tree.position, path: '', message });
    return [];
  }
  const found: Violation[] = [];
  const read = relayDocument.read(contents, { ...cursor, violations: found });
  const { kind } = read ?? {};
  if (kind === undefined || unread.has('kind') || kind === relayKind) {
    violations.push(...found);
    return read === undefined ? [] : [{ relay: toRelay(read), tree, unread, pathOf: documentPath }];
  }
  const isMisspelt = mostSimilar(kind, [relayKind]) !== undefined;
  const hint = isMisspelt ? '' : `; only ${relayKind} documents can be applied`;
  const { position } = tree.locate(['kind']);
  found.push({ position, path: 'kind', message: `must be ${relayKind}, not "${kind}"${hint}` });
  // Another kind has other keys: what the rest says about ours would only confuse.
  violations.push(...(isMisspelt ? found : found.filter(({ path }) => path === 'apiVersion' || path === 'kind')));
  return isMisspelt && read !== undefined ? [{ relay: toRelay(read), tree, unread, pathOf: documentPath }] : [];
}

/** Names that two documents share, each with the place of the first; the later is unread, so that it is told once. */
export function duplicateNames(relays: readonly SourcedRelay[]): Violation[] {
  const violations: Violation[] = [];
  const first = new Map<string, Position>();
  for (const { relay, tree, unread, pathOf } of relays) {
    const path = pathOf(['name']);
    const name = relay.name.replace(/^relays\//, '');
    const { position } = tree.locate(path);
    const earlier = first.get(name);
    if (name === '' || unread.has(joinPath(path))) continue;
    if (earlier === undefined) {
      first.set(name, position);
      continue;
    }
    unread.add(joinPath(path));
    violations.push({
      position,
      path: joinPath(path),
      message: `"${name}" is given twice; first at ${earlier.file}:${earlier.line}:${earlier.column}`,
    });
  }
  return violations;
}
