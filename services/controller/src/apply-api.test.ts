import { callUnary } from '@mcfleet/common/grpc/client';
import { fromRpcStatus } from '@mcfleet/common/status-details';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { ApplyAction, ApplyRelaysRequest, type ApplyRelaysResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { defined, refused, relay, TestController } from './testing/test-controller.ts';

const TIMEOUT = { timeoutMs: 30_000 };
let controller: TestController;

beforeEach(async () => {
  controller = await new TestController().start();
  const host = Host.fromPartial({ name: 'edge-1' });
  await callUnary(
    controller.fleet,
    'updateHost',
    { host, updateMask: undefined, allowMissing: true, validateOnly: false },
    TIMEOUT,
  );
});

afterEach(() => controller.dispose());

const apply = (relays: Relay[], more: object = {}): Promise<ApplyRelaysResponse> =>
  callUnary(controller.relays, 'applyRelays', { ...ApplyRelaysRequest.fromPartial({}), relays, ...more }, TIMEOUT);
const stored = async (): Promise<Relay[]> =>
  (await callUnary(controller.relays, 'listRelays', { pageSize: 1000, pageToken: '', labelSelector: {} }, TIMEOUT))
    .relays;
const actions = ({ results }: ApplyRelaysResponse) => results.map(({ name, action }) => [name, action]);

test('creates, updates with the fields that change, and leaves the rest alone', async () => {
  const first = await apply([relay('a'), relay('relays/b', { outputPort: 6002 })]);
  expect(actions(first)).toEqual([
    ['relays/a', ApplyAction.CREATED],
    ['relays/b', ApplyAction.CREATED],
  ]);
  expect(first.results[0]?.relay).toMatchObject({ managedBy: 'mcfleet', generation: 1n });
  const second = await apply([relay('a'), relay('b', { outputPort: 6003, labels: { site: 'a' } })]);
  expect(actions(second)).toEqual([
    ['relays/a', ApplyAction.UNCHANGED],
    ['relays/b', ApplyAction.UPDATED],
  ]);
  expect(second.results[1]?.diffs).toEqual([
    { path: 'labels.site', oldJson: '', newJson: '"a"' },
    { path: 'spec.outputs[0].port', oldJson: '6002', newJson: '6003' },
  ]);
  expect(second.revision).toBe(first.revision + 1n);
  const third = await apply([relay('a')]);
  expect(third.revision).toBe(second.revision);
});

test('validate_only tells the same and stores nothing', async () => {
  const before = await apply([relay('a')]);
  const dry = await apply([relay('a', { outputPort: 6009 }), relay('b', { outputPort: 6002 })], { validateOnly: true });
  expect(actions(dry)).toEqual([
    ['relays/a', ApplyAction.UPDATED],
    ['relays/b', ApplyAction.CREATED],
  ]);
  expect(await stored()).toEqual([expect.objectContaining({ name: 'relays/a', etag: before.results[0]?.relay?.etag })]);
});

test('prunes what carries the labels and is not given', async () => {
  const labels = { stack: 'x' };
  await apply([relay('a', { labels }), relay('b', { outputPort: 6002, labels }), relay('c', { outputPort: 6003 })]);
  const answer = await apply([relay('a', { labels })], { pruneSelector: labels });
  expect(actions(answer)).toEqual([
    ['relays/a', ApplyAction.UNCHANGED],
    ['relays/b', ApplyAction.PRUNED],
  ]);
  expect((await stored()).map(({ name }) => name)).toEqual(['relays/a', 'relays/c']);
});

test('one bad relay keeps all from being stored, and every violation is told', async () => {
  const error = await refused(apply([relay('a'), relay('b', { outputPort: 0 }), relay('C', { hosts: ['nope'] })]));
  expect(error).toMatchObject({ code: 3, reason: 'INVALID_SPEC' });
  expect(error.violations.map(({ field }) => field)).toEqual([
    'relays[1].spec.outputs[0].port',
    'relays[2].name',
    'relays[2].spec.hosts.names[0]',
  ]);
  expect(await stored()).toEqual([]);
});

test('what is wrong and what is in conflict is told in one answer', async () => {
  await apply([relay('a', { outputPort: 6001 }), relay('b', { outputPort: 6002 })]);
  const both = relay('e', { outputPort: 6001 });
  defined(both.spec).outputs = [6003, 6002, 6001].map((port) => ({ ...defined(both.spec?.outputs[0]), port }));
  const wanted = [relay('c', { outputPort: 0 }), relay('d', { outputPort: 6001 }), both, relay('relays/d')];
  const error = await refused(apply(wanted));
  expect(error.reason).toBe('INVALID_SPEC');
  expect(error.violations).toEqual([
    { field: 'relays[0].spec.outputs[0].port', description: expect.stringContaining('0 is not a UDP port') },
    { field: 'relays[1].spec.outputs[0]', description: expect.stringMatching(/^relays\/d and relays\/a would both/) },
    { field: 'relays[2].spec.outputs[1]', description: expect.stringMatching(/^relays\/e and relays\/b would both/) },
    { field: 'relays[2].spec.outputs[2]', description: expect.stringMatching(/^relays\/e and relays\/a would both/) },
    { field: 'relays[3].name', description: '"d" is given twice, first in relays[1]' },
  ]);
  expect((await stored()).map(({ name }) => name)).toEqual(['relays/a', 'relays/b']);
});

test('what a relay that is not valid would leave is no conflict', async () => {
  await apply([relay('a', { outputPort: 6001 }), relay('b', { outputPort: 6002 })]);
  const leaves = relay('b', { outputPort: 6001 });
  defined(leaves.spec?.outputs[0]).ttl = 300;
  const error = await refused(apply([relay('a', { outputPort: 6002 }), leaves]));
  expect(error.violations.map(({ field }) => field)).toEqual(['relays[1].spec.outputs[0].ttl']);
  expect((await stored()).map(({ spec }) => spec?.outputs[0]?.port)).toEqual([6001, 6002]);
});

test('if not atomic, the good ones are stored and the others say why not', async () => {
  const answer = await apply([relay('a'), relay('b', { outputPort: 0 }), relay('c')], { atomic: false });
  expect(actions(answer)).toEqual([
    ['relays/a', ApplyAction.CREATED],
    ['relays/b', ApplyAction.FAILED],
    ['relays/c', ApplyAction.FAILED],
  ]);
  const errors = answer.results.slice(1).map(({ error }) => fromRpcStatus(defined(error)));
  expect(errors.map(({ reason }) => reason)).toEqual(['INVALID_SPEC', 'RELAY_CONFLICT']);
  expect(errors[0]?.violations[0]?.field).toBe('relays[1].spec.outputs[0].port');
  expect((await stored()).map(({ name }) => name)).toEqual(['relays/a']);
});

test('every conflict is told, with the output that another relay has', async () => {
  await apply([relay('a', { outputPort: 6001 }), relay('b', { outputPort: 6002 })]);
  const wanted = [relay('c'), relay('d', { outputPort: 6003 }), relay('e', { outputPort: 6002 })];
  const error = await refused(apply(wanted));
  expect(error.reason).toBe('RELAY_CONFLICT');
  expect(error.violations).toEqual([
    {
      field: 'relays[0].spec.outputs[0]',
      description: expect.stringMatching(/^relays\/c and relays\/a would both send/),
    },
    {
      field: 'relays[2].spec.outputs[0]',
      description: expect.stringMatching(/^relays\/e and relays\/b would both send/),
    },
  ]);
  expect((await stored()).map(({ name }) => name)).toEqual(['relays/a', 'relays/b']);
});

test('relays may exchange their outputs in one apply', async () => {
  await apply([relay('a', { outputPort: 6001 }), relay('b', { outputPort: 6002 })]);
  const answer = await apply([relay('a', { outputPort: 6002 }), relay('b', { outputPort: 6001 })]);
  expect(answer.results.map(({ action }) => action)).toEqual([ApplyAction.UPDATED, ApplyAction.UPDATED]);
  expect(await refused(apply([relay('a', { outputPort: 6001 })]))).toMatchObject({ reason: 'RELAY_CONFLICT' });
});

test('a stale etag is refused; a twice given name, too many relays and a long owner are', async () => {
  const { results } = await apply([relay('a')]);
  const etag = defined(results[0]?.relay).etag;
  await apply([relay('a', { outputPort: 6005 })]);
  expect(await refused(apply([{ ...relay('a'), etag }]))).toMatchObject({ code: 10, reason: 'ETAG_MISMATCH' });
  expect((await refused(apply([relay('x'), relay('relays/x')]))).violations[0]?.field).toBe('relays[1].name');
  expect((await refused(apply(Array(10_001).fill(relay('x'))))).violations[0]?.field).toBe('relays');
  expect((await refused(apply([], { fieldOwner: 'x'.repeat(129) }))).violations[0]?.field).toBe('field_owner');
});

test('whoever applies takes a relay over, and whoever updates it otherwise lets it go', async () => {
  await apply([relay('a')], { fieldOwner: 'gitops/a' });
  const update = {
    relay: Relay.fromPartial({ name: 'a', displayName: 'A' }),
    updateMask: undefined,
    allowMissing: false,
    requestId: '',
    validateOnly: false,
  };
  expect(await callUnary(controller.relays, 'updateRelay', update, TIMEOUT)).toMatchObject({ managedBy: '' });
  const answer = await apply([relay('a')], { fieldOwner: 'gitops/a' });
  expect(answer.results[0]?.diffs).toEqual([
    { path: 'managed_by', oldJson: '', newJson: '"gitops/a"' },
    { path: 'display_name', oldJson: '"A"', newJson: '' },
  ]);
});

test('after an apply the stored relays are those that were given, and applying again changes nothing', async () => {
  const spec = fc.record({
    outputPort: fc.integer({ min: 6000, max: 6400 }),
    site: fc.option(fc.constantFrom('a', 'b')),
  });
  const fleet = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), spec);
  let history = 0;
  await fc.assert(
    fc.asyncProperty(fleet, async (wanted) => {
      history += 1;
      // Different inputs: conflicts are another test's matter.
      const relays = Object.entries(wanted).map(([name, { outputPort, site }]) => {
        const one = relay(name, { outputPort, labels: { mine: 'yes', ...(site === null ? {} : { site }) } });
        defined(one.spec?.input).group = `239.1.1.${name.charCodeAt(0)}`;
        return one;
      });
      await apply(relays, { pruneSelector: { mine: 'yes' } });
      const again = await apply(relays, { pruneSelector: { mine: 'yes' } });
      expect(again.results.every(({ action }) => action === ApplyAction.UNCHANGED)).toBe(true);
      const found = (await stored()).map(({ name, labels, spec: held }) => [
        name,
        labels,
        held?.outputs,
        held?.input?.group,
      ]);
      const given = relays
        .map(({ name, labels, spec: held }) => [`relays/${name}`, labels, held?.outputs, held?.input?.group])
        .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
      expect(found).toEqual(given);
    }),
    { numRuns: 25 },
  );
  expect(history).toBeGreaterThan(0);
});
