/** Primary result codes of SQLite (sqlite.org/rescode.html) that the store tells apart. */
export const SqliteCode = { BUSY: 5, IO_ERROR: 10, CORRUPT: 11, FULL: 13, NOT_A_DATABASE: 26 } as const;

/** The primary result code of an error that node:sqlite threw; undefined for other errors. */
export function sqliteCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('errcode' in thrown) || typeof thrown.errcode !== 'number') return undefined;
  return thrown.errcode & 0xff;
}
