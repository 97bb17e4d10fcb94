const BEGIN =
  '<!-- figures: begin. Written by "npm run bench -- --write-docs"; what is changed here by hand is lost. -->';
const END = '<!-- figures: end -->';

/**
 * Puts figures into the part of a document that is theirs, and leaves the rest as it is.
 *
 * @throws Error if the document has not exactly one such part.
 */
export function replaceFigures(document: string, figures: string): string {
  const [before, rest, ...moreParts] = document.split(BEGIN);
  const [, after, ...moreEnds] = (rest ?? '').split(END);
  if (before === undefined || after === undefined || moreParts.length + moreEnds.length > 0) {
    throw new Error(`the document must have these two lines once, in this order:\n${BEGIN}\n${END}`);
  }
  return `${before}${BEGIN}\n\n${figures}\n\n${END}${after}`;
}
