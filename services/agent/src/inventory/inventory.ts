import type { Clock } from '@mcfleet/common/clock';
import type { Logger } from '@mcfleet/common/log';
import { type InterfaceFacts, type InterfaceWatch, listInterfaces, watchInterfaces } from '@mcfleet/native';

/** Changes that come within this time are told together: a bridge that is torn down sends dozens. */
const QUIET_MS = 100;

export interface InventoryOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** The interfaces changed. Called at once, so that a relay starts without delay. */
  readonly onInterfaces: (interfaces: readonly InterfaceFacts[]) => void;
  /** The controller shall be told. Called at most every 100 ms, and always after the last change. */
  readonly onReport: () => void;
}

/** The interfaces of this host, kept up to date by the kernel's notifications. */
export class Inventory {
  readonly #options: InventoryOptions;
  #interfaces: readonly InterfaceFacts[] = listInterfaces();
  #watch: InterfaceWatch | undefined;
  #timer: { clear(): void } | undefined;

  constructor(options: InventoryOptions) {
    this.#options = options;
  }

  get interfaces(): readonly InterfaceFacts[] {
    return this.#interfaces;
  }

  start(): void {
    this.#watch = watchInterfaces(
      (interfaces) => this.#changed(interfaces),
      (err) => this.#options.log.error({ err }, 'cannot read the interfaces from the kernel; trying again'),
    );
  }

  close(): void {
    this.#watch?.close();
    this.#timer?.clear();
  }

  #changed(interfaces: readonly InterfaceFacts[]): void {
    this.#interfaces = interfaces;
    this.#options.onInterfaces(interfaces);
    this.#timer ??= this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#options.onReport();
    }, QUIET_MS);
  }
}
