import { CST, Lexer } from 'yaml';

/** Lists and mappings within each other, at most. A relay has six levels. */
export const maxNesting = 64;

/**
 * The offset at which a text is nested more deeply than allowed; undefined if it is not. From the lexer's tokens alone: whatever builds
 * a tree recurses, and exhausts the stack at some thousand levels.
 */
export function tooDeepAt(text: string): number | undefined {
  /** Columns at which the block collections around a line begin. */
  const columns: number[] = [];
  let flow = 0;
  let offset = 0;
  let lineStart = 0;
  let isAtStart = true;
  for (const token of new Lexer().lex(text)) {
    switch (CST.tokenType(token)) {
      case 'newline':
      case 'space':
      case 'byte-order-mark':
      case 'doc-mode':
      case 'comment':
        break;
      case 'doc-start':
        columns.length = 0;
        flow = 0;
        break;
      case 'flow-map-start':
      case 'flow-seq-start':
        flow += 1;
        break;
      case 'flow-map-end':
      case 'flow-seq-end':
        flow = Math.max(0, flow - 1);
        break;
      default: {
        // What stands first in a line, or behind an indicator in it, begins a collection if it is further in than those around it.
        if (flow > 0 || !isAtStart) break;
        const column = offset - lineStart;
        while ((columns.at(-1) ?? -1) >= column) columns.pop();
        columns.push(column);
        isAtStart = isIndicator(token);
        break;
      }
    }
    if (columns.length + flow > maxNesting) return offset;
    if (isMark(token)) continue;
    const newline = token.lastIndexOf('\n');
    if (newline >= 0) lineStart = offset + newline + 1;
    offset += token.length;
    if (newline >= 0 && lineStart === offset) isAtStart = true;
  }
  return undefined;
}

/** "- " and "? ", behind which another collection may begin in the same line. */
function isIndicator(token: string): boolean {
  const type = CST.tokenType(token);
  return type === 'seq-item-ind' || type === 'explicit-key-ind';
}

/** The lexer's own marks (yaml.org/docs: \x02 begins a document, \x18 ends a flow, \x1f is a scalar) stand for no text. */
function isMark(token: string): boolean {
  return token === CST.DOCUMENT || token === CST.FLOW_END || token === CST.SCALAR;
}
