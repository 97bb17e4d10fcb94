import { setTimeout as sleep } from 'node:timers/promises';
import { type ProbeReceiver, receiveProbe } from '@mcfleet/native';
import { indexOfInterface } from './interface-index.ts';
import type { End, Heard } from './prober-protocol.ts';

/** Nothing for so long: the receiver's socket is empty, and no more will come. */
const QUIET_MS = 150;
const POLL_MS = 5;
const LATE_MS = 20;

/** How a receiver takes packets (native/probe.ts: `ProbeReceiveOptions`). */
export interface Taking {
  readonly raw: boolean;
  readonly digest: boolean;
  readonly whole: boolean;
}

/** A plain UDP receiver, unless asked otherwise, which listens until it is asked what it heard. */
export class Receiver {
  readonly #probe: ProbeReceiver;

  constructor({ interface: name, group, port }: End, taking: Taking) {
    this.#probe = receiveProbe({
      ifindex: indexOfInterface(name),
      group,
      port,
      ...taking,
      count: null,
      durationMs: null,
      timeoutMs: null,
      idleMs: null,
      settleMs: 0,
    });
  }

  /** Ends it: at once, or `after` so many packets and those that came twice, or when no more come. */
  async finish(after: number): Promise<Heard> {
    if (after > 0) await this.#haveRead(after);
    this.#probe.stop();
    const { latencyNs, payloadSha256, flows, ...report } = await this.#probe.done;
    const us = (ns: bigint): number => Number(ns) / 1000;
    return {
      received: Number(report.received),
      lost: Number(report.lost),
      duplicates: Number(report.duplicates),
      reordered: Number(report.reordered),
      corrupt: Number(report.corrupt),
      receiverDrops: Number(report.receiverDrops),
      senders: flows.length,
      payloadSha256,
      latencyUs: latencyNs && {
        p50: us(latencyNs.p50),
        p99: us(latencyNs.p99),
        p999: us(latencyNs.p999),
        max: us(latencyNs.max),
      },
    };
  }

  /** Ends it, whatever it heard. */
  stop(): void {
    this.#probe.stop();
  }

  async #haveRead(count: number): Promise<void> {
    let last = -1n;
    let complete = false;
    for (
      let since = performance.now();
      performance.now() - since < (complete ? LATE_MS : QUIET_MS);
      await sleep(POLL_MS)
    ) {
      const { received, duplicates, corrupt } = this.#probe.progress();
      const now = received + duplicates + corrupt;
      if (now !== last) since = performance.now();
      last = now;
      complete = received >= BigInt(count);
    }
  }
}
