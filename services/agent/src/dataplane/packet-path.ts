import type { Clock } from '@mcfleet/common/clock';
import { StatusResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/** How often it is read again, in milliseconds: it changes with the relays, and few look at it. */
const REFRESH_MS = 5_000;

/** How the data plane receives and sends, with which threads, options and shortcomings. */
export type PathFacts = Pick<StatusResponse, 'inputs' | 'outputs' | 'workers' | 'options' | 'conditions'>;

const NOTHING: PathFacts = { inputs: [], outputs: [], workers: [], options: undefined, conditions: [] };

/** Keeps up with how the data plane receives and sends. */
export class PacketPath {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #facts = NOTHING;
  #readAt = 0;

  /** @param onChange called when something of it has changed, but for what the workers count, and have open */
  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get facts(): PathFacts {
    return this.#facts;
  }

  /** Takes in what was read, and what it is when no data plane answers: nothing. */
  take({ inputs, outputs, workers, options, conditions }: PathFacts = NOTHING): void {
    const facts = { inputs, outputs, workers, options, conditions };
    const changed = Buffer.compare(encode(facts), encode(this.#facts)) !== 0;
    this.#facts = facts;
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
  const workers = facts.workers.map((worker) => ({ ...worker, packets: 0n, udpSockets: undefined }));
  return StatusResponse.encode(StatusResponse.fromPartial({ ...facts, workers })).finish();
}
