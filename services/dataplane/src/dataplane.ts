import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import type { Forwarder, RelayProgram } from '@mcfleet/native';
import type { ApplyRequest, ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { toFleetError } from './refusal.ts';
import { SerialQueue } from './serial-queue.ts';
import { validateRelay } from './validate.ts';

/** Twice of what one host is built for: above, the host is misused, and memory is at stake. */
export const MAX_RELAYS = 20_000;

/** What an agent that finds this data plane running needs to know of a relay. */
export interface ProgrammedIdentity {
  readonly generation: bigint;
  readonly digest: Buffer;
}

/**
 * What is programmed: the forwarder, and beside it the identity of each of its relays. Changes are made one after the other; this
 * object is the forwarder's only user, so that the two never differ.
 */
export class Dataplane {
  readonly #forwarder: Forwarder;
  readonly #ipv6: boolean;
  readonly #queue = new SerialQueue();
  readonly #programmed = new Map<string, ProgrammedIdentity>();

  constructor(forwarder: Forwarder) {
    this.#forwarder = forwarder;
    this.#ipv6 = forwarder.status().capabilities.includes('engine.userspace.v6');
  }

  /** By uid. */
  get programmed(): ReadonlyMap<string, ProgrammedIdentity> {
    return this.#programmed;
  }

  /** Carries out `change` after all changes before it, and gives what it gives. */
  exclusively<Result>(task: () => Promise<Result>): Promise<Result> {
    return this.#queue.run(task);
  }

  /**
   * Changes what is forwarded. A relay that is refused stays as it was: not programmed, or forwarding by its old program.
   *
   * @returns one entry per upsert, in their order: why it was refused, or undefined
   */
  apply(request: ApplyRequest): Promise<readonly (FleetError | undefined)[]> {
    return this.exclusively(() => this.#apply(request));
  }

  async #apply({ replaceAll, upserts, removedUids }: ApplyRequest): Promise<readonly (FleetError | undefined)[]> {
    const removed = this.#toRemove(replaceAll, upserts, removedUids);
    const errors: (FleetError | undefined)[] = refuseContradictions(upserts, removedUids);
    const accepted = new Map<string, { readonly index: number; readonly program: RelayProgram }>();
    let room = MAX_RELAYS - this.#programmed.size + removed.length;
    for (const [index, relay] of upserts.entries()) {
      if (errors[index] !== undefined) continue;
      try {
        const program = validateRelay(relay, { path: `upserts[${index}]`, ipv6: this.#ipv6 });
        if (!this.#programmed.has(relay.uid) && --room < 0) throw tooManyRelays(relay.name);
        accepted.set(relay.uid, { index, program });
      } catch (thrown) {
        errors[index] = FleetError.from(thrown);
      }
    }
    if (accepted.size === 0 && removed.length === 0) return errors;

    const programs = [...accepted.values()].map(({ program }) => program);
    const refusals = await this.#forwarder.apply({ replaceAll: false, upserts: programs, removedUids: removed });
    for (const uid of removed) this.#programmed.delete(uid);
    for (const refusal of refusals) {
      const entry = accepted.get(refusal.uid);
      if (entry === undefined) throw new Error(`the native part refused '${refusal.uid}', which it was not given`);
      errors[entry.index] = toFleetError(refusal);
      accepted.delete(refusal.uid);
    }
    for (const [uid, { index }] of accepted) {
      const relay = upserts[index];
      if (relay !== undefined) this.#programmed.set(uid, { generation: relay.generation, digest: relay.digest });
    }
    return errors;
  }

  /** A relay that is to be replaced and turns out to be refused is not removed, so `replace_all` becomes a difference. */
  #toRemove(
    replaceAll: boolean,
    upserts: readonly ProgrammedRelay[],
    removedUids: readonly string[],
  ): readonly string[] {
    const wanted = new Set(upserts.map(({ uid }) => uid));
    const candidates = replaceAll ? this.#programmed.keys() : new Set(removedUids);
    return [...candidates].filter((uid) => this.#programmed.has(uid) && !wanted.has(uid));
  }
}

/** Which of several relays with one uid is meant, nobody can tell; nor whether one that is also removed shall stay. */
function refuseContradictions(
  upserts: readonly ProgrammedRelay[],
  removedUids: readonly string[],
): (FleetError | undefined)[] {
  const indexes = new Map<string, number[]>();
  for (const [index, { uid }] of upserts.entries()) {
    const others = indexes.get(uid);
    if (others === undefined) indexes.set(uid, [index]);
    else others.push(index);
  }
  const removed = new Set(removedUids);
  return upserts.map(({ uid }) => {
    const same = indexes.get(uid) ?? [];
    if (same.length > 1)
      return contradiction(`${same.map((index) => `upserts[${index}]`).join(' and ')} have one uid`, uid);
    if (removed.has(uid)) return contradiction('it is in upserts and in removed_uids', uid);
    return undefined;
  });
}

function contradiction(what: string, uid: string): FleetError {
  const message = `'${uid.slice(0, 64)}' cannot be applied: ${what}; send it once`;
  return new FleetError({ code: status.INVALID_ARGUMENT, reason: 'CONTRADICTORY_CHANGE', message, metadata: { uid } });
}

function tooManyRelays(name: string): FleetError {
  const message = `${name} cannot be programmed: this host has ${MAX_RELAYS} relays, the most that a data plane takes`;
  return new FleetError({ code: status.RESOURCE_EXHAUSTED, reason: 'TOO_MANY_RELAYS', message });
}
