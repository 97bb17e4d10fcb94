import type { Clock } from '@mcfleet/common/clock';
import { StatusResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/** How often it is read again, in milliseconds: it changes with the relays, and few look at it. */
const REFRESH_MS = 5_000;

/** How the data plane receives and sends, by interface. */
export type PathFacts = Pick<StatusResponse, 'inputs' | 'outputs'>;

const NOTHING: PathFacts = { inputs: [], outputs: [] };

/** Keeps up with how the data plane receives and sends. */
export class PacketPath {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #facts = NOTHING;
  #readAt = 0;

  /** @param onChange called when something of it has changed */
  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get facts(): PathFacts {
    return this.#facts;
  }

  /** Takes in what was read, and what it is when no data plane answers: nothing. */
  take({ inputs, outputs }: PathFacts = NOTHING): void {
    const changed = Buffer.compare(encode({ inputs, outputs }), encode(this.#facts)) !== 0;
    this.#facts = { inputs, outputs };
    this.#readAt = this.#clock.monotonic();
    if (changed) this.#onChange();
  }

  /** Reads it again if it is time. */
  async refresh(read: () => Promise<PathFacts>): Promise<void> {
    if (this.#clock.monotonic() - this.#readAt < REFRESH_MS) return;
    this.take(await read());
  }
}

function encode(facts: PathFacts): Uint8Array {
  return StatusResponse.encode(StatusResponse.fromPartial(facts)).finish();
}
