import type { KernelRoute, RelayCounts } from '@mcfleet/native';
import { type KernelRelay, routeKey } from './routes.ts';

type RouteCounts = Pick<KernelRoute, 'packets' | 'bytes' | 'wrongInterface'>;

interface OutputTotals {
  readonly ifindex: number;
  readonly startUnixNano: bigint;
  txPackets: bigint;
  txBytes: bigint;
  up: boolean;
}

const NOTHING: RouteCounts = { packets: 0n, bytes: 0n, wrongInterface: 0n };
const NANO_PER_MS = 1_000_000n;

/** What went through one relay of the kernel engine: sums of what its routes count, which begin again when a route is made again. */
export class RelayCounter {
  readonly #startUnixNano: bigint;
  #relay: KernelRelay;
  #outputs: ReadonlyMap<string, OutputTotals>;
  /** As read last, by route. */
  #last = new Map<string, RouteCounts>();
  #packets = 0n;
  #bytes = 0n;
  #wrongInterface = 0n;
  #lastPacketUnixNano = 0n;
  /** Whether counts() gives something else than at the last takeChanged(). */
  #changed = true;

  constructor(relay: KernelRelay, nowMs: number) {
    this.#startUnixNano = BigInt(nowMs) * NANO_PER_MS;
    this.#relay = relay;
    this.#outputs = this.#outputsOf(relay, new Map(), nowMs);
  }

  /** The relay was changed: outputs that stay count on, and so do routes. */
  change(relay: KernelRelay, nowMs: number): void {
    this.#outputs = this.#outputsOf(relay, this.#outputs, nowMs);
    this.#relay = relay;
    this.#changed = true;
    const keys = new Set(relay.routes.map(routeKey));
    for (const key of this.#last.keys()) if (!keys.has(key)) this.#last.delete(key);
  }

  /** Takes in what the kernel's routes, by key, counted until now. */
  take(found: ReadonlyMap<string, KernelRoute>, nowMs: number): void {
    const routes = this.#relay.routes.map((route) => found.get(routeKey(route)));
    for (const route of routes) if (route !== undefined) this.#takeRoute(route, nowMs);
    for (const output of this.#outputs.values()) {
      const reached = routes.some((route) => route?.outputs.some(({ ifindex }) => ifindex === output.ifindex));
      const up = output.ifindex !== 0 && (routes.length === 0 || reached);
      if (up !== output.up) this.#changed = true;
      output.up = up;
    }
  }

  /** Whether counts() gives something else than at the last call of this. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  counts(): RelayCounts {
    return {
      uid: this.#relay.uid,
      rxPackets: this.#packets,
      rxBytes: this.#bytes,
      drops: this.#wrongInterface === 0n ? [] : [{ reason: 'wrong_interface', packets: this.#wrongInterface }],
      lastPacketUnixNano: this.#lastPacketUnixNano,
      startUnixNano: this.#startUnixNano,
      latencyBuckets: [],
      latencySumNano: 0n,
      warning: '',
      outputs: [...this.#outputs].map(([key, { txPackets, txBytes, up, startUnixNano }]) => ({
        ...{ key, txPackets, txBytes, up, startUnixNano, drops: [], transmit: null },
        downReason: up ? '' : 'InterfaceNotFound',
      })),
    };
  }

  #takeRoute(route: KernelRoute, nowMs: number): void {
    const key = routeKey(route);
    const last = this.#last.get(key) ?? NOTHING;
    // Fewer than before: it was made again.
    const before = route.packets < last.packets ? NOTHING : last;
    const packets = route.packets - before.packets;
    const bytes = route.bytes - before.bytes;
    const wrong = route.wrongInterface - before.wrongInterface;
    this.#last.set(key, { packets: route.packets, bytes: route.bytes, wrongInterface: route.wrongInterface });
    if (packets === 0n) return;
    this.#changed = true;
    this.#packets += packets;
    this.#bytes += bytes;
    this.#wrongInterface += wrong;
    const used = BigInt(nowMs - route.idleMs) * NANO_PER_MS;
    if (used > this.#lastPacketUnixNano) this.#lastPacketUnixNano = used;
    for (const output of this.#outputs.values()) {
      if (!route.outputs.some(({ ifindex }) => ifindex === output.ifindex)) continue;
      output.txPackets += packets - wrong;
      // The kernel counts the bytes of both in one: they are taken for equally long.
      output.txBytes += (bytes * (packets - wrong)) / packets;
    }
  }

  #outputsOf(
    relay: KernelRelay,
    before: ReadonlyMap<string, OutputTotals>,
    nowMs: number,
  ): ReadonlyMap<string, OutputTotals> {
    const fresh = { txPackets: 0n, txBytes: 0n, startUnixNano: BigInt(nowMs) * NANO_PER_MS };
    return new Map(
      relay.outputs.map(({ key, ifindex }) => [key, { ...(before.get(key) ?? fresh), ifindex, up: ifindex !== 0 }]),
    );
  }
}
