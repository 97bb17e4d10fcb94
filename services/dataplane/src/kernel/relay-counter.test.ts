import type { KernelRoute } from '@mcfleet/native';
import { expect, test } from 'vitest';
import { RelayCounter } from './relay-counter.ts';
import { type KernelRelay, routeKey } from './routes.ts';

const group = '239.1.1.1';

function relay(sources: readonly string[], outputs: readonly number[]): KernelRelay {
  const to = outputs.map((ifindex) => ({ ifindex, threshold: 1 }));
  return {
    ...{ uid: 'u', name: 'relays/a', family: 4 },
    routes: sources.map((source) => ({ source, group, input: 1, outputs: to })),
    outputs: outputs.map((ifindex) => ({ key: `to ${ifindex}`, ifindex })),
  };
}

/** What the kernel tells: packets of 100 bytes. */
function told(
  one: KernelRelay,
  ...counts: readonly (readonly [packets: bigint, wrong: bigint])[]
): Map<string, KernelRoute> {
  return new Map(
    one.routes.map((route, index) => {
      const [packets, wrongInterface] = counts[index] ?? [0n, 0n];
      return [routeKey(route), { ...route, packets, bytes: packets * 100n, wrongInterface, idleMs: 5 }];
    }),
  );
}

test('sums what its routes count, and goes on when one of them is made again', () => {
  const one = relay(['10.0.0.1', '10.0.0.2'], [2, 3]);
  const counter = new RelayCounter(one, 1_000);
  counter.take(told(one, [5n, 0n], [7n, 2n]), 2_000);
  expect(counter.counts()).toMatchObject({
    ...{ rxPackets: 12n, rxBytes: 1_200n, lastPacketUnixNano: 1_995_000_000n, startUnixNano: 1_000_000_000n },
    drops: [{ reason: 'wrong_interface', packets: 2n }],
    outputs: [
      { key: 'to 2', txPackets: 10n, txBytes: 1_000n, up: true },
      { key: 'to 3', txPackets: 10n, txBytes: 1_000n, up: true },
    ],
  });
  counter.take(told(one, [1n, 0n], [9n, 2n]), 3_000);
  expect(counter.counts()).toMatchObject({ rxPackets: 15n, outputs: [{ txPackets: 13n }, { txPackets: 13n }] });
});

test('an output that stays counts on, one that comes begins at zero, and one that the kernel left out is not up', () => {
  const before = relay(['10.0.0.1'], [2]);
  const counter = new RelayCounter(before, 1_000);
  counter.take(told(before, [5n, 0n]), 2_000);
  const after = relay(['10.0.0.1'], [2, 3]);
  counter.change(after, 4_000);
  const found = told(after, [8n, 0n]);
  counter.take(found, 5_000);
  expect(counter.counts()).toMatchObject({
    rxPackets: 8n,
    outputs: [
      { key: 'to 2', txPackets: 8n, startUnixNano: 1_000_000_000n },
      { key: 'to 3', startUnixNano: 4_000_000_000n },
    ],
  });
  counter.take(told(before, [9n, 0n]), 6_000);
  expect(counter.counts().outputs).toMatchObject([
    { up: true, downReason: '' },
    { up: false, downReason: 'InterfaceNotFound' },
  ]);
});
