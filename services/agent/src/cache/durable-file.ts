import { constants } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { makeDirectory } from '@mcfleet/common/directory';
import { corruptStateFile } from './state-file.ts';

/**
 * The whole content of a file.
 *
 * @throws FleetError STATE_FILE_CORRUPT for a directory, which could not be replaced by a file, and for a pipe or device, which might
 * never be read to its end.
 */
export async function readRegularFile(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw corruptStateFile('it is not a file');
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** Replaces a file atomically and durably: temporary file, fsync, rename, fsync of the directory, which is made if it is missing. */
export async function writeDurably(directory: string, path: string, bytes: Buffer): Promise<void> {
  makeDirectory(directory);
  const temporary = `${path}.new`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    // A full disk shall not stay fuller than it was. What matters to the caller is why the write failed.
    await unlink(temporary).catch((unlinkError: unknown) => {
      if (!isCode(unlinkError, 'ENOENT')) throw new AggregateError([thrown, unlinkError], String(thrown));
    });
    throw thrown;
  }
  const parent = await open(directory, 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

/** Whether this is what the system says with this code, for example ENOENT. */
export function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}
