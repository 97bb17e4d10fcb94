import type { BenchCase, LatencyCase, ThroughputCase, UpkeepCase } from './case.ts';
import type { EngineName } from './engine.ts';
import { plan } from './plan.ts';

const all: readonly EngineName[] = ['mcfleet', 'socat', 'socat-tuned', 'kernel-mfc'];
const withoutPlainSocat: readonly EngineName[] = ['mcfleet', 'socat-tuned', 'kernel-mfc'];
const alone: readonly EngineName[] = ['mcfleet'];
const none: readonly EngineName[] = [];
/** The kernel forwards multicast to groups only. */
const unicastEngines: readonly EngineName[] = ['mcfleet', 'socat', 'socat-tuned'];

type ThroughputDetails = Partial<Omit<ThroughputCase, 'kind' | 'id' | 'title'>>;

function throughput(id: string, title: string, details: ThroughputDetails = {}): ThroughputCase {
  return {
    kind: 'throughput',
    id,
    title,
    size: 1316,
    arriving: 'single',
    perSend: 20,
    outputSegmentation: true,
    plan: plan(),
    engines: withoutPlainSocat,
    quick: alone,
    ...details,
  };
}

const spinning = ['--busy-poll-us', '200'];
/** What the relay takes is not also given to its host's own stack, which costs the sender's core here. */
const exclusive = ['--exclusive-input'];
const exclusiveSpinning = [...exclusive, ...spinning];

const superFrames: ThroughputDetails = { arriving: 'super', engines: ['mcfleet', 'kernel-mfc'] };
/** Nearly the 49 datagrams of 1316 bytes that a super-frame holds: with 20 the sender is what limits, not the relay. */
const longSuperFrames: ThroughputDetails = { ...superFrames, perSend: 48 };
const cutByKernel: ThroughputDetails = { outputSegmentation: false, engines: alone };

function upkeep(
  id: string,
  title: string,
  details: Partial<Omit<UpkeepCase, 'kind' | 'id' | 'title'>> = {},
): UpkeepCase {
  return {
    kind: 'upkeep',
    id,
    title,
    unmatchedRate: 0,
    wantedRate: 0,
    plan: plan(),
    engines: alone,
    quick: alone,
    ...details,
  };
}

/** Everything that is measured, in this order. */
export const benchCases: readonly BenchCase[] = [
  throughput('1to1', '1 -> 1, 1316 B', { engines: all, quick: withoutPlainSocat }),
  throughput('spin-0', '1 -> 1, 1316 B, never spinning', {
    plan: plan({ options: ['--busy-poll-us', '0'] }),
    engines: alone,
    quick: none,
  }),
  throughput('spin-200', '1 -> 1, 1316 B, spinning 200 us', {
    plan: plan({ options: spinning }),
    engines: alone,
    quick: none,
  }),
  throughput('1to1-exclusive', '1 -> 1, 1316 B, exclusive input', {
    plan: plan({ options: exclusive }),
    engines: alone,
    quick: none,
  }),
  throughput('1to1-exclusive-spin', '1 -> 1, 1316 B, exclusive input, spinning 200 us', {
    plan: plan({ options: exclusiveSpinning }),
    engines: alone,
  }),
  throughput('no-uso', '1 -> 1, 1316 B, output device without USO', { ...cutByKernel, quick: none }),
  throughput('10000-relays', '1 -> 1, 1316 B, 9,999 other relays', {
    plan: plan({ idleRelays: 9_999 }),
    engines: alone,
  }),
  throughput('1to8', '1 -> 8, 1316 B', { plan: plan({ copies: 8 }) }),
  throughput('1to8-spin', '1 -> 8, 1316 B, spinning 200 us', {
    plan: plan({ copies: 8, options: spinning }),
    engines: alone,
    quick: none,
  }),
  throughput('1to8-exclusive', '1 -> 8, 1316 B, exclusive input', {
    plan: plan({ copies: 8, options: exclusive }),
    engines: alone,
    quick: none,
  }),
  throughput('1to8-exclusive-spin', '1 -> 8, 1316 B, exclusive input, spinning 200 us', {
    plan: plan({ copies: 8, options: exclusiveSpinning }),
    engines: alone,
  }),
  throughput('1to8-no-uso', '1 -> 8, 1316 B, output device without USO', {
    ...cutByKernel,
    plan: plan({ copies: 8 }),
  }),
  throughput('1to8-no-uso-spin', '1 -> 8, 1316 B, output device without USO, spinning 200 us', {
    ...cutByKernel,
    plan: plan({ copies: 8, options: spinning }),
    quick: none,
  }),
  throughput('1to32', '1 -> 32, 1316 B', { plan: plan({ copies: 32 }), engines: ['mcfleet', 'kernel-mfc'] }),
  throughput('1to32-spin', '1 -> 32, 1316 B, spinning 200 us', {
    plan: plan({ copies: 32, options: spinning }),
    engines: alone,
    quick: none,
  }),
  throughput('1to32-exclusive-spin', '1 -> 32, 1316 B, exclusive input, spinning 200 us', {
    plan: plan({ copies: 32, options: exclusiveSpinning }),
    engines: alone,
    quick: none,
  }),
  throughput('1to32-no-uso', '1 -> 32, 1316 B, output device without USO', {
    ...cutByKernel,
    plan: plan({ copies: 32 }),
    quick: none,
  }),
  throughput('8to8', '8 streams -> 8, 1316 B', { plan: plan({ streams: 8 }), quick: none }),
  throughput('workers-1', '8 streams -> 8, 1316 B, 1 worker', {
    plan: plan({ streams: 8, options: ['--workers', '1'] }),
    engines: alone,
    quick: none,
  }),
  throughput('workers-2', '8 streams -> 8, 1316 B, 2 workers', {
    plan: plan({ streams: 8, options: ['--workers', '2'] }),
    engines: alone,
    quick: none,
  }),
  throughput('super-1to1', '1 -> 1, 1316 B, super-frames arriving', superFrames),
  throughput('super-1to1-spin', '1 -> 1, 1316 B, super-frames arriving, spinning 200 us', {
    ...superFrames,
    plan: plan({ options: spinning }),
    engines: alone,
    quick: none,
  }),
  throughput('super-1to1-exclusive', '1 -> 1, 1316 B, super-frames arriving, exclusive input, spinning 200 us', {
    ...superFrames,
    plan: plan({ options: exclusiveSpinning }),
    engines: alone,
    quick: none,
  }),
  throughput('super-48', '1 -> 1, 1316 B, super-frames of 48 arriving', longSuperFrames),
  throughput('super-48-spin', '1 -> 1, 1316 B, super-frames of 48 arriving, spinning 200 us', {
    ...longSuperFrames,
    plan: plan({ options: spinning }),
    engines: alone,
    quick: none,
  }),
  throughput('super-48-exclusive', '1 -> 1, 1316 B, super-frames of 48 arriving, exclusive input, spinning 200 us', {
    ...longSuperFrames,
    plan: plan({ options: exclusiveSpinning }),
    engines: alone,
    quick: none,
  }),
  throughput('super-1to1-no-uso', '1 -> 1, 1316 B, super-frames arriving, output device without USO', {
    ...superFrames,
    ...cutByKernel,
    quick: none,
  }),
  throughput('super-1to8', '1 -> 8, 1316 B, super-frames arriving', { ...superFrames, plan: plan({ copies: 8 }) }),
  throughput('ipv6-1to1', 'IPv6, 1 -> 1, 1316 B', { plan: plan({ family: 6 }), engines: alone, quick: none }),
  throughput('ipv6-1to8', 'IPv6, 1 -> 8, 1316 B', {
    plan: plan({ family: 6, copies: 8 }),
    engines: alone,
    quick: none,
  }),
  throughput('64-bytes', '1 -> 1, 64 B', { size: 64, quick: none }),
  throughput('1472-bytes', '1 -> 1, 1472 B', { size: 1472, quick: none }),
  throughput('9000-bytes', '1 -> 1, 9000 B, MTU 9100', { size: 9000, quick: none }),
  throughput('unicast', '1 -> 1 unicast, 1316 B', {
    plan: plan({ unicast: true }),
    engines: unicastEngines,
    quick: none,
  }),
  throughput('unicast-rules', '1 -> 1 unicast, 1316 B, host with nftables rules', {
    plan: plan({ unicast: true, hostRules: true }),
    engines: unicastEngines,
    quick: none,
  }),
  throughput('engine-kernel', "1 -> 1, 1316 B, by mcfleet's engine KERNEL", {
    engines: ['mcfleet-kernel'],
    quick: ['mcfleet-kernel'],
  }),
  ...[10_000, 50_000].flatMap((rate): LatencyCase[] => {
    const text = rate.toLocaleString('en-US');
    return [
      {
        kind: 'latency',
        id: `latency-${rate / 1000}k`,
        title: `latency at ${text} pps`,
        rate,
        plan: plan(),
        engines: ['mcfleet', 'socat', 'kernel-mfc'],
        quick: ['mcfleet', 'socat', 'kernel-mfc'],
      },
      {
        kind: 'latency',
        id: `latency-${rate / 1000}k-spin`,
        title: `latency at ${text} pps, spinning 200 us`,
        rate,
        plan: plan({ options: spinning }),
        engines: alone,
        quick: alone,
      },
    ];
  }),
  upkeep('idle', 'idle'),
  upkeep('idle-spin', 'idle, may spin for 200 us', { plan: plan({ options: spinning }), quick: none }),
  upkeep('idle-10000', 'idle, 10,000 relays', { plan: plan({ idleRelays: 9_999 }) }),
  upkeep('unmatched', '300,000 pps that no relay wants, beside 100 pps that one does', {
    unmatchedRate: 300_000,
    wantedRate: 100,
    engines: ['mcfleet', 'socat-tuned'],
  }),
  {
    kind: 'output-failure',
    id: 'outputs-fail',
    title: '1 -> 6 by interfaces of their own, which fail one after the other',
    rate: 20_000,
    plan: plan({ copies: 6, spread: true }),
    engines: alone,
    quick: alone,
  },
];
