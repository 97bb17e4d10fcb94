import { closeSync, writeSync } from 'node:fs';

/** The descriptor at which the program that started this one listens to why it ends, and its number in the environment. */
const DESCRIPTOR_VARIABLE = 'MCFLEET_FAILURE_FD';

/** Tells whoever started this program why it could not start: an agent shows that at its host. Others read it on stderr. */
export class Starter {
  readonly #descriptor: number | undefined;
  #listens: boolean;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    const text = env[DESCRIPTOR_VARIABLE] ?? '';
    this.#descriptor = /^\d{1,4}$/.test(text) ? Number(text) : undefined;
    this.#listens = this.#descriptor !== undefined;
  }

  tell(message: string): void {
    if (this.#descriptor === undefined || !this.#listens) return;
    try {
      writeSync(this.#descriptor, message);
    } catch {
      // It ended before (EPIPE), or there is no such descriptor (EBADF): the message is on stderr as well.
      this.#listens = false;
    }
  }

  /** The program has started. */
  done(): void {
    if (this.#descriptor !== undefined && this.#listens) closeSync(this.#descriptor);
    this.#listens = false;
  }
}
