/** The last bytes of a stream. */
export class Tail {
  #chunks: Buffer[] = [];
  #bytes = 0;
  readonly #limit: number;

  /** @param limit bytes kept; up to one chunk more is held. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (let first = this.#chunks[0]; first && this.#bytes - first.length >= this.#limit; first = this.#chunks[0]) {
      this.#bytes -= first.length;
      this.#chunks.shift();
    }
  }

  text(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#limit).toString('utf8');
  }
}
