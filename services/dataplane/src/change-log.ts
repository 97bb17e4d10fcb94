import { randomBytes } from 'node:crypto';

/** What one reading has to tell. */
export interface Reading {
  /** Names the reading. */
  readonly mark: string;
  /** Relays that changed since the reading that the caller named; undefined: all have to be told. */
  readonly changed: readonly string[] | undefined;
}

/**
 * Since when readers have to be told of a relay again. Nothing is kept of readers: each names the last reading that it has, so that an
 * answer that is lost, or asked for twice, does no harm. Bounded by the relays.
 */
export class ChangeLog {
  /** Of this log: marks of another one, as of a data plane that has ended, name nothing here. */
  readonly #epoch = randomBytes(8).toString('hex');
  /** The last reading. */
  #reading = 0;
  /** The first reading that tells the last change, by uid. */
  readonly #changed = new Map<string, number>();
  /** The newest of these. */
  #newest = 0;
  /** The first reading without the relay that was removed last. */
  #removed = 0;

  /** Something of these relays has changed, or may have, or will before the next reading. */
  note(uids: Iterable<string>): void {
    for (const uid of uids) {
      this.#changed.set(uid, this.#reading + 1);
      this.#newest = this.#reading + 1;
    }
  }

  /** These relays have gone, or will before the next reading: that is told by leaving them out of all. */
  remove(uids: Iterable<string>): void {
    for (const uid of uids) {
      this.#changed.delete(uid);
      this.#removed = this.#reading + 1;
    }
  }

  /** @param since the mark of the reading that the caller has; empty: none */
  read(since: string): Reading {
    const last = this.#readingOf(since);
    this.#reading += 1;
    const mark = `${this.#epoch}-${this.#reading}`;
    if (last === undefined || last < this.#removed) return { mark, changed: undefined };
    if (this.#newest <= last) return { mark, changed: [] };
    return { mark, changed: [...this.#changed].filter(([, reading]) => reading > last).map(([uid]) => uid) };
  }

  #readingOf(mark: string): number | undefined {
    const [epoch, number = ''] = mark.split('-');
    if (epoch !== this.#epoch || !/^[1-9]\d{0,15}$/.test(number)) return undefined;
    return Number(number) <= this.#reading ? Number(number) : undefined;
  }
}
