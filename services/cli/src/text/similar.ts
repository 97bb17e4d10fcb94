/** Edits (insert, delete, replace, swap neighbours) that turn `a` into `b`; case and separators do not count. */
function distance(a: string, b: string): number {
  let previous: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (previous[j - 2] ?? 0) + 1);
      }
      next.push(best);
    }
    previous = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/**
 * The candidate that was probably meant, for "did you mean"; undefined if none is near. Words up to 4 letters may differ by one
 * edit, up to 8 by two, longer ones by three. "match_labels" and "matchlabels" count as "matchLabels".
 */
export function mostSimilar(word: string, candidates: readonly string[]): string | undefined {
  // Longer words are no misspelling of ours, and comparing them costs the product of the lengths.
  if (word.length > 40) return undefined;
  const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, '');
  const allowed = word.length <= 4 ? 1 : word.length <= 8 ? 2 : 3;
  let best: { candidate: string; edits: number } | undefined;
  for (const candidate of candidates) {
    const edits = distance(plain(word), plain(candidate));
    if (edits <= allowed && edits < candidate.length && (best === undefined || edits < best.edits)) {
      best = { candidate, edits };
    }
  }
  return best?.candidate;
}
