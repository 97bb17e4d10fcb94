import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { SerialQueue } from '@mcfleet/common/serial-queue';
import type { Forwarder, RelayProgram, RelayRefusal } from '@mcfleet/native';
import type { ApplyRequest, ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { ChangeLog, type Reading } from './change-log.ts';
import type { KernelEngine } from './kernel/kernel-engine.ts';
import { toKernelRelay } from './kernel/routes.ts';
import { toFleetError } from './refusal.ts';
import { validateRelay } from './validate.ts';

/** Twice of what one host is built for: above, the host is misused, and memory is at stake. */
export const MAX_RELAYS = 20_000;

/** What an agent that finds this data plane running needs to know of a relay. */
export interface ProgrammedIdentity {
  readonly generation: bigint;
  readonly digest: Buffer;
}

interface Accepted {
  /** In the request. */
  readonly index: number;
  readonly relay: ProgrammedRelay;
  readonly program: RelayProgram;
}

/**
 * What is programmed: the forwarder, the kernel engine, and beside them the identity of each of their relays. Changes are made one after
 * the other; this object is the only user of both, so that they never differ.
 */
export class Dataplane {
  readonly #forwarder: Forwarder;
  readonly #kernel: KernelEngine;
  readonly #ipv6: boolean;
  readonly #queue = new SerialQueue();
  readonly #programmed = new Map<string, ProgrammedIdentity>();
  readonly #changes = new ChangeLog();

  constructor(forwarder: Forwarder, kernel: KernelEngine) {
    this.#forwarder = forwarder;
    this.#kernel = kernel;
    this.#ipv6 = forwarder.status().capabilities.includes('engine.userspace.v6');
  }

  /** By uid. */
  get programmed(): ReadonlyMap<string, ProgrammedIdentity> {
    return this.#programmed;
  }

  /**
   * What a reading of all relays has to tell: exclusively, and after the kernel engine was refreshed.
   *
   * @param since the mark of the reading that the caller has; empty: none
   */
  read(since: string): Reading {
    this.#changes.note(this.#forwarder.changes());
    this.#changes.note(this.#kernel.changes());
    return this.#changes.read(since);
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
    const accepted = new Map<string, Accepted>();
    let room = MAX_RELAYS - this.#programmed.size + removed.length;
    for (const [index, relay] of upserts.entries()) {
      if (errors[index] !== undefined) continue;
      try {
        const program = validateRelay(relay, { path: `upserts[${index}]`, ipv6: this.#ipv6 });
        if (!this.#programmed.has(relay.uid) && --room < 0) throw tooManyRelays(relay.name);
        accepted.set(relay.uid, { index, relay, program });
      } catch (thrown) {
        errors[index] = FleetError.from(thrown);
      }
    }
    if (accepted.size === 0 && removed.length === 0) return errors;

    // Before it is known what becomes of them: should an engine fail, they are told once too often.
    this.#changes.note([...accepted.keys()].filter((uid) => this.#programmed.has(uid)));
    this.#changes.remove(removed);
    const refusals = await this.#program([...accepted.values()], removed);
    for (const uid of removed) this.#programmed.delete(uid);
    for (const refusal of refusals) {
      const entry = accepted.get(refusal.uid);
      if (entry === undefined) throw new Error(`an engine refused '${refusal.uid}', which it was not given`);
      errors[entry.index] = toFleetError(refusal);
      accepted.delete(refusal.uid);
    }
    this.#changes.note(accepted.keys());
    for (const [uid, { index }] of accepted) {
      const relay = upserts[index];
      if (relay !== undefined) this.#programmed.set(uid, { generation: relay.generation, digest: relay.digest });
    }
    return errors;
  }

  /**
   * Gives each engine what it shall forward. A relay that goes from one to the other is taken by the new one first: packets that come in
   * between are sent twice. Those that wait in a ring when it goes to the kernel are lost.
   */
  async #program(accepted: readonly Accepted[], removed: readonly string[]): Promise<readonly RelayRefusal[]> {
    const forKernel = accepted.filter(({ relay }) => relay.engine === RelayEngine.KERNEL);
    const forForwarder = accepted.filter(({ relay }) => relay.engine !== RelayEngine.KERNEL);
    const kernelRelays = forKernel.map(({ relay, program }) => toKernelRelay(relay.name, program));
    const kernelRefusals = await this.#kernel.apply(kernelRelays, removed);
    const refused = new Set(kernelRefusals.map(({ uid }) => uid));
    const left = kernelRelays.map(({ uid }) => uid).filter((uid) => this.#programmed.has(uid) && !refused.has(uid));
    const refusals = await this.#forwarder.apply({
      replaceAll: false,
      upserts: forForwarder.map(({ program }) => program),
      removedUids: [...removed, ...left],
    });
    for (const { uid } of refusals) refused.add(uid);
    const came = forForwarder.map(({ relay }) => relay.uid).filter((uid) => this.#kernel.has(uid) && !refused.has(uid));
    if (came.length > 0) await this.#kernel.apply([], came);
    return [...kernelRefusals, ...refusals];
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
