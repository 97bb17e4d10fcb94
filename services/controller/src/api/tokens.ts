import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const MAC_BYTES = 16;

/** What a token says. Texts only, so that revisions lose nothing. */
export type TokenFields = Readonly<Record<string, string>>;

/**
 * Makes and reads tokens that clients hand back unread. The seal shows that this store made them, for this purpose; they hold no
 * secret.
 */
export class Tokens {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** @param purpose what the token is good for: one that was made for something else is not taken */
  seal(purpose: string, fields: TokenFields): string {
    const body = Buffer.from(JSON.stringify(fields));
    return Buffer.concat([this.#mac(purpose, body), body]).toString('base64url');
  }

  /** The fields of a token; undefined if it was not made by `seal` for this purpose. */
  open(purpose: string, token: string): TokenFields | undefined {
    const bytes = Buffer.from(token, 'base64url');
    const body = bytes.subarray(MAC_BYTES);
    if (bytes.length <= MAC_BYTES || !timingSafeEqual(bytes.subarray(0, MAC_BYTES), this.#mac(purpose, body)))
      return undefined;
    return JSON.parse(body.toString()) as TokenFields;
  }

  #mac(purpose: string, body: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(`${purpose}\n`).update(body).digest().subarray(0, MAC_BYTES);
  }
}

/** A short hash of a JSON value that does not depend on the order of keys: protobuf maps have none. */
export function canonicalHash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('base64url');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, child: unknown) => {
    if (typeof child !== 'object' || child === null || Array.isArray(child)) return child;
    return Object.fromEntries(Object.entries(child).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
