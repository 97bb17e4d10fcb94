import { RELAY_ID_PATTERN } from '@mcfleet/common/names';
import type { RelayDraft } from './relays.ts';

const maxLength = 63;
/** Room for "-10000" at the end. */
const reserved = 6;

/** Names for relays, no two the same: "edge-1-eth0-225-1-2-3". */
export class RelayNames {
  readonly #prefix: string;
  readonly #taken = new Set<string>();

  /** @param prefix what they begin with; what cannot stand in a name becomes "-" */
  constructor(prefix: string) {
    this.#prefix = /^[a-z]/.test(slug(prefix)) ? slug(prefix) : `r-${slug(prefix)}`;
  }

  next({ from, group }: RelayDraft): string {
    const rest = slug(`-${from}-${group}`);
    const stem = (this.#prefix.slice(0, maxLength - reserved - rest.length) + rest).replace(/-+$/, '');
    let name = stem;
    for (let i = 2; this.#taken.has(name); i++) name = `${stem}-${i}`;
    this.#taken.add(name);
    if (!RELAY_ID_PATTERN.test(name)) throw new Error(`${name} is not the name of a relay`);
    return name;
  }
}

function slug(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]/g, '-');
}
