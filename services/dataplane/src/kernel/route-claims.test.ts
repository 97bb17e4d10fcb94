import type { MulticastRoute } from '@mcfleet/native';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RouteClaims } from './route-claims.ts';
import type { KernelRelay } from './routes.ts';

const group = '239.1.1.1';

function relay(
  uid: string,
  sources: readonly (string | null)[],
  input = 1,
  outputs: readonly number[] = [9],
): KernelRelay {
  const to = outputs.map((ifindex) => ({ ifindex, threshold: 1 }));
  const routes = sources.map((source) => ({ source, group, input, outputs: to }));
  return { uid, name: `relays/${uid}`, family: 4, routes, outputs: [] };
}

function conflict(first: KernelRelay, second: KernelRelay): string | undefined {
  const claims = new RouteClaims();
  claims.add(first);
  return claims.conflict(second);
}

test('routes that would hide one another rule each other out, and the message names them', () => {
  const any = relay('a', [null]);
  expect(conflict(any, relay('b', ['10.0.0.1']))).toBe(`relays/a takes any source of group ${group}`);
  expect(conflict(relay('c', ['10.0.0.1']), any)).toBe(`relays/c takes source 10.0.0.1 of group ${group}`);
  expect(conflict(relay('c', ['10.0.0.1', '10.0.0.2']), relay('b', ['10.0.0.2'], 5))).toContain('10.0.0.2');
  expect(conflict(relay('c', ['10.0.0.1']), relay('b', ['10.0.0.2']))).toBeUndefined();
  expect(conflict(relay('c', [null]), relay('b', [null]))).toContain('from the same interface');
});

test('routes of any source and several inputs go together unless one sends to the input of another', () => {
  expect(conflict(relay('a', [null], 1, [3]), relay('b', [null], 2, [3]))).toBeUndefined();
  expect(conflict(relay('a', [null], 1, [2]), relay('b', [null], 2, [3]))).toContain('the other way');
  expect(conflict(relay('a', [null], 2, [3]), relay('b', [null], 1, [2]))).toContain('the other way');
});

/** Which route the kernel takes for a packet: that of its source, or one of any source that lists the interface (ipmr_cache_find). */
function found(routes: readonly MulticastRoute[], source: string, input: number): readonly MulticastRoute[] {
  const exact = routes.filter((route) => route.source === source);
  if (exact.length > 0) return exact;
  const lists = (route: MulticastRoute): boolean =>
    route.input === input || route.outputs.some(({ ifindex }) => ifindex === input);
  return routes.filter((route) => route.source === null && lists(route));
}

test('whatever is let in, each packet that a relay takes finds its route and no other', () => {
  const sources = ['10.0.0.1', '10.0.0.2'];
  const wanted = fc.record({
    sources: fc.constantFrom<(string | null)[]>([null], ['10.0.0.1'], ['10.0.0.2'], [...sources]),
    input: fc.integer({ min: 1, max: 3 }),
    outputs: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { minLength: 1 }),
  });
  fc.assert(
    fc.property(fc.array(wanted, { maxLength: 6 }), (all) => {
      const claims = new RouteClaims();
      const relays: KernelRelay[] = [];
      for (const [index, one] of all.entries()) {
        const outputs = one.outputs.filter((ifindex) => ifindex !== one.input);
        const next = relay(`r${index}`, one.sources, one.input, outputs);
        if (outputs.length === 0 || claims.conflict(next) !== undefined) continue;
        claims.add(next);
        relays.push(next);
      }
      const routes = relays.flatMap((one) => one.routes);
      for (const route of routes) {
        for (const source of route.source === null ? sources : [route.source]) {
          expect(found(routes, source, route.input)).toEqual([route]);
        }
      }
    }),
  );
});

test('what is given back is free', () => {
  const claims = new RouteClaims();
  const first = relay('a', [null]);
  claims.add(first);
  expect(claims.conflict(relay('b', [null]))).toBeDefined();
  claims.delete(first);
  expect(claims.conflict(relay('b', [null]))).toBeUndefined();
});
