import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { type Document, isNode, isScalar, LineCounter, parseAllDocuments, visit } from 'yaml';
import { mostSimilar } from '../text/similar.ts';
import { maxNesting, tooDeepAt } from './nesting.ts';
import type { Position, Violation } from './position.ts';
import { PositionTree } from './position-tree.ts';
import type { Cursor } from './reader.ts';
import { apiVersion, relayDocument, relayKind, toRelay } from './relay-document.ts';

/** Aliases (`*name`) in one document, at most. Each costs a walk over the document, and nobody writes this many by hand. */
const maxAliases = 100;

/** Syntax errors shown of one document, at most: what follows the first ones is mostly their echo. */
const maxSyntaxErrors = 10;

/** One relay of a file, and where everything in it stands. */
export interface SourcedRelay {
  /** What could be read; whatever is missing is among the violations. */
  readonly relay: Relay;
  /** Keyed by YAML keys, from the top of the document. */
  readonly tree: PositionTree;
  /** What is wrong with this document; also among the violations of its file. */
  readonly violations: Violation[];
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
  const violations: Violation[] = [];
  let empty = true;
  for (const document of documents) {
    const syntax = syntaxViolations(document, file, lines);
    violations.push(...syntax);
    if (syntax.length > 0) empty = false;
    // What a broken document seems to say is guesswork.
    if (syntax.length > 0 || isEmpty(document)) continue;
    empty = false;
    const found: Violation[] = [];
    const relay = readDocument(document, file, lines, found);
    violations.push(...found);
    if (relay !== undefined) relays.push(relay);
  }
  if (empty)
    violations.push({
      position: start,
      path: '',
      message: 'holds no document; expected apiVersion, kind, metadata and spec',
    });
  return { relays, violations };
}

function positionAt(file: string, content: string, offset: number): Position {
  const before = content.slice(0, offset);
  return { file, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

function isEmpty(document: Document): boolean {
  return document.contents === null || (isScalar(document.contents) && document.contents.value === null);
}

function syntaxViolations(document: Document, file: string, lines: LineCounter): Violation[] {
  const violations: Violation[] = [...document.errors, ...document.warnings].slice(0, maxSyntaxErrors).map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { position: { file, line, column: col }, path: '', message: syntaxMessage(error.message) };
  });
  const { yaml } = document.directives ?? {};
  if (yaml?.explicit === true && yaml.version !== '1.2') {
    violations.push({
      position: { file, line: 1, column: 1 },
      path: '',
      message: `is marked as YAML ${yaml.version}: remove the %YAML line (YAML 1.2 is read)`,
    });
  }
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
  return violations;
}

/** The parser's message as a sentence of ours. */
function syntaxMessage(message: string): string {
  const text = message.replace(/\.$/, '').replace(/\s+/g, ' ');
  return `is not valid YAML: ${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

function readDocument(
  document: Document,
  file: string,
  lines: LineCounter,
  violations: Violation[],
): SourcedRelay | undefined {
  const contents = document.contents;
  if (!isNode(contents)) return undefined;
  const top = lines.linePos(contents.range?.[0] ?? 0);
  const tree = new PositionTree({ file, line: top.line, column: top.col });
  const cursor: Cursor = { file, document, lines, violations, path: [], tree };
  const read = relayDocument(contents, cursor);
  if (read === undefined) return undefined;
  const at = (key: string): Position => tree.locate([key]).position;
  if (read.apiVersion !== undefined && read.apiVersion !== apiVersion) {
    violations.push({
      position: at('apiVersion'),
      path: 'apiVersion',
      message: `must be ${apiVersion}, not "${read.apiVersion}"`,
    });
  }
  if (read.kind !== undefined && read.kind !== relayKind) {
    // Another kind has other keys: what the rest says about ours would only confuse.
    violations.length = 0;
    const near = mostSimilar(read.kind, [relayKind]);
    const hint = near === undefined ? `; only ${relayKind} documents can be applied` : '';
    violations.push({ position: at('kind'), path: 'kind', message: `must be ${relayKind}, not "${read.kind}"${hint}` });
    return undefined;
  }
  return { relay: toRelay(read), tree, violations };
}

/** Names that two documents share, each with the place of the first; also noted with the later document. */
export function duplicateNames(relays: readonly SourcedRelay[]): Violation[] {
  const violations: Violation[] = [];
  const first = new Map<string, Position>();
  for (const { relay, tree, violations: own } of relays) {
    const position = tree.locate(['metadata', 'name']).position;
    const earlier = first.get(relay.name);
    if (relay.name === '') continue;
    if (earlier === undefined) {
      first.set(relay.name, position);
      continue;
    }
    const violation: Violation = {
      position,
      path: 'metadata.name',
      message: `"${relay.name.replace(/^relays\//, '')}" is given twice; first at ${earlier.file}:${earlier.line}:${earlier.column}`,
    };
    own.push(violation);
    violations.push(violation);
  }
  return violations;
}
