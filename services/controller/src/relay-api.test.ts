import { callUnary } from '@mcfleet/common/grpc/client';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import type { ListRelaysResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { refused, relay, TestController } from './testing/test-controller.ts';

const TIMEOUT = { timeoutMs: 30_000 };
const REQUEST_ID = '3f0c1b8e-58a6-4a0d-9c43-0a6a1c1f7a11';
let controller: TestController;

beforeEach(async () => {
  controller = await new TestController().start();
  for (const name of ['edge-1', 'edge-2']) {
    const host = Host.fromPartial({ name, labels: { role: 'edge' } });
    await callUnary(
      controller.fleet,
      'updateHost',
      { host, updateMask: undefined, allowMissing: true, validateOnly: false },
      TIMEOUT,
    );
  }
});

afterEach(() => controller.dispose());

const create = (
  subject: Relay | undefined,
  more: { relayId?: string; requestId?: string; validateOnly?: boolean } = {},
) =>
  callUnary(
    controller.relays,
    'createRelay',
    { relayId: '', relay: subject, requestId: '', validateOnly: false, ...more },
    TIMEOUT,
  );
const get = (name: string) => callUnary(controller.relays, 'getRelay', { name }, TIMEOUT);
const update = (
  subject: object,
  updateMask?: string[],
  more: { allowMissing?: boolean; validateOnly?: boolean } = {},
) =>
  callUnary(
    controller.relays,
    'updateRelay',
    { relay: Relay.fromPartial(subject), updateMask, allowMissing: false, requestId: '', validateOnly: false, ...more },
    TIMEOUT,
  );
const remove = (name: string, more: { etag?: string; allowMissing?: boolean; validateOnly?: boolean } = {}) =>
  callUnary(
    controller.relays,
    'deleteRelay',
    { name, etag: '', requestId: '', validateOnly: false, allowMissing: false, ...more },
    TIMEOUT,
  );
const list = (
  more: { pageSize?: number; pageToken?: string; labelSelector?: Record<string, string> } = {},
): Promise<ListRelaysResponse> =>
  callUnary(controller.relays, 'listRelays', { pageSize: 0, pageToken: '', labelSelector: {}, ...more }, TIMEOUT);

test('creates a relay, with defaults, identity and a status', async () => {
  const created = await create(relay('relays/camera-7', { labels: { site: 'a' } }));
  expect(created).toMatchObject({
    name: 'relays/camera-7',
    generation: 1n,
    managedBy: '',
    labels: { site: 'a' },
    reconciling: true,
  });
  expect(created.spec?.engine).toBe(RelayEngine.AUTO);
  expect(created.etag).toMatch(/^".+"$/);
  expect(created.uid).toMatch(/^[0-9a-f-]{36}$/);
  expect(created.createTime).toEqual(created.updateTime);
  expect(created.status).toMatchObject({ desiredInstances: 1, observedGeneration: 0n });
  expect(created.status?.conditions.map(({ type, reason }) => [type, reason])).toEqual([
    ['Accepted', 'Placed'],
    ['Programmed', 'HostNotConnected'],
    ['Ready', 'HostNotConnected'],
  ]);
  expect(await get('camera-7')).toEqual(created);
  expect(await get('relays/camera-7')).toEqual(created);
});

test('refuses a relay with every violation, by the path in the request', async () => {
  const error = await refused(create(relay('a', { hosts: ['edge-9'], outputPort: 70000 }), { relayId: 'Bad Name' }));
  expect(error.reason).toBe('INVALID_REQUEST');
  const both = await refused(
    create({ ...relay('', { hosts: ['edge-9'], outputPort: 70000 }) }, { relayId: 'Bad Name' }),
  );
  expect(both).toMatchObject({ code: 3, reason: 'INVALID_SPEC' });
  expect(both.violations.map(({ field }) => field)).toEqual([
    'relay_id',
    'relay.spec.hosts.names[0]',
    'relay.spec.outputs[0].port',
  ]);
  expect((await list()).relays).toEqual([]);
});

test.each([
  ['no relay', undefined, ['relay.name', 'relay.spec']],
  ['no spec', Relay.fromPartial({ name: 'a' }), ['relay.spec']],
  ['no name', relay(''), ['relay.name']],
])('refuses a create with %s', async (_, subject, fields) => {
  expect((await refused(create(subject))).violations.map(({ field }) => field)).toEqual(fields);
});

test('a name is taken once; after a delete it stands for another relay', async () => {
  const first = await create(relay('a'));
  expect(await refused(create(relay('a', { outputPort: 6002 })))).toMatchObject({ code: 6, reason: 'RELAY_EXISTS' });
  await remove('a');
  expect(await refused(get('a'))).toMatchObject({ code: 5, reason: 'RELAY_NOT_FOUND' });
  const second = await create(relay('a'));
  expect(second.uid).not.toBe(first.uid);
  expect(second.generation).toBe(1n);
});

test('validate_only answers what would be, and changes nothing', async () => {
  const answer = await create(relay('a'), { validateOnly: true });
  expect(answer).toMatchObject({ name: 'relays/a', generation: 1n, status: { desiredInstances: 1 } });
  expect(await refused(get('a'))).toMatchObject({ reason: 'RELAY_NOT_FOUND' });
  const stored = await create(relay('a'));
  expect(await update({ name: 'a', displayName: 'A' }, undefined, { validateOnly: true })).toMatchObject({
    displayName: 'A',
  });
  await remove('a', { validateOnly: true });
  expect(await get('a')).toEqual(stored);
});

test('a repeated request_id answers the same, and is refused for another request', async () => {
  const labels = { a: '1', b: '2' };
  const first = await create(relay('a', { labels }), { requestId: REQUEST_ID });
  const again = await create(relay('a', { labels: { b: '2', a: '1' } }), { requestId: REQUEST_ID });
  expect(again).toEqual(first);
  expect(await refused(create(relay('b'), { requestId: REQUEST_ID }))).toMatchObject({
    code: 3,
    reason: 'REQUEST_ID_REUSED',
  });
  expect(await refused(create(relay('c'), { requestId: 'x' }))).toMatchObject({
    code: 3,
    violations: [{ field: 'request_id' }],
  });
  await controller.stop();
  await controller.start();
  expect(await create(relay('a', { labels }), { requestId: REQUEST_ID })).toEqual(first);
});

test('generation rises with the spec alone, the etag with every change, nothing with none', async () => {
  const first = await create(relay('a'));
  const labelled = await update({ name: 'a', labels: { site: 'a' } });
  expect(labelled).toMatchObject({ generation: 1n, labels: { site: 'a' } });
  expect(labelled.etag).not.toBe(first.etag);
  expect(labelled.revision).toBeGreaterThan(first.revision);
  const changed = await update({ name: 'a', spec: { engine: RelayEngine.USERSPACE } });
  expect(changed).toMatchObject({ generation: 2n, labels: { site: 'a' }, spec: { engine: RelayEngine.USERSPACE } });
  expect(changed.spec?.outputs).toEqual(first.spec?.outputs);
  const same = await update({ name: 'a', spec: { engine: RelayEngine.USERSPACE } });
  expect(same).toEqual(changed);
});

test('a stale etag is refused, a fresh one is taken', async () => {
  const first = await create(relay('a'));
  const second = await update({ name: 'a', etag: first.etag, displayName: 'A' });
  const error = await refused(update({ name: 'a', etag: first.etag, displayName: 'B' }));
  expect(error).toMatchObject({ code: 10, reason: 'ETAG_MISMATCH', metadata: { current_etag: second.etag } });
  expect(await refused(remove('a', { etag: first.etag }))).toMatchObject({ code: 10, reason: 'ETAG_MISMATCH' });
  await remove('a', { etag: second.etag });
});

test('an etag of what is deleted is stale too: an update with it does not bring the relay back', async () => {
  const { etag } = await create(relay('a'));
  await remove('a');
  const error = await refused(update({ ...relay('a'), etag }, undefined, { allowMissing: true }));
  expect(error).toMatchObject({ code: 10, reason: 'ETAG_MISMATCH' });
  expect(await refused(get('a'))).toMatchObject({ code: 5 });
});

test('errors repeat what the caller wrote on one line that no terminal acts upon', async () => {
  await create(relay('a'));
  const evil = `\u001b[31mred\r\n\u009b1m\u202e${'x'.repeat(3000)}`;
  const errors = [
    await refused(get(evil)),
    await refused(create(relay('b'), { relayId: evil })),
    await refused(update({ name: 'a', etag: evil })),
    await refused(update({ name: 'a' }, [evil])),
    await refused(remove('a', { etag: evil })),
    await refused(list({ labelSelector: { [evil]: 'x' } })),
  ];
  for (const { message, violations } of errors) {
    for (const text of [message, ...violations.flatMap(({ field, description }) => [field, description])]) {
      expect(text).not.toMatch(/[\p{Cc}\u202e]/u);
      expect(text.length).toBeLessThan(600);
    }
  }
});

test.each([
  [
    ['spec.input.port'],
    { spec: { input: { port: 5999 } } },
    { input: { interface: 'eth0', group: '239.1.1.1', port: 5999 } },
  ],
  [['spec.input.port'], {}, { input: { interface: 'eth0', group: '239.1.1.1', port: undefined } }],
  [
    ['spec.hosts.matchLabels', 'spec.hosts.names'],
    { spec: { hosts: { matchLabels: { role: 'edge' } } } },
    { hosts: { names: [], matchLabels: { role: 'edge' } } },
  ],
  [['spec.engine'], {}, { engine: RelayEngine.AUTO }],
])('a mask of %j changes that and nothing else', async (mask, subject, expected) => {
  const before = await create(relay('a', { labels: { site: 'a' } }));
  const after = await update({ name: 'a', labels: { ignored: 'yes' }, ...subject }, mask);
  expect(after.labels).toEqual({ site: 'a' });
  expect(after.spec).toMatchObject(expected);
  expect(after.spec?.outputs).toEqual(before.spec?.outputs);
});

test('masks clear what is named and not given; "*" stands for all', async () => {
  await create({ ...relay('a', { labels: { site: 'a' } }), displayName: 'A', annotations: { note: 'x' } });
  expect(await update({ name: 'a' }, ['labels', 'display_name'])).toMatchObject({
    labels: {},
    displayName: '',
    annotations: { note: 'x' },
  });
  const spec = relay('a', { outputPort: 7001 }).spec;
  expect(await update({ name: 'a', spec }, ['*'])).toMatchObject({ annotations: {}, generation: 2n });
  expect(await refused(update({ name: 'a' }, ['*']))).toMatchObject({
    reason: 'INVALID_SPEC',
    violations: [{ field: 'relay.spec' }],
  });
  const unknown = await refused(update({ name: 'a' }, ['spec.nope', 'labels', 'spec.outputs[0].port']));
  expect(unknown.violations.map(({ field }) => field)).toEqual(['update_mask.paths[0]', 'update_mask.paths[2]']);
  const besideAll = await refused(update({ name: 'a', spec }, ['spec.bogus', '*']));
  expect(besideAll).toMatchObject({ reason: 'INVALID_REQUEST', violations: [{ field: 'update_mask.paths[0]' }] });
});

test('an update creates what is missing only if that is asked for', async () => {
  expect(await refused(update(relay('a')))).toMatchObject({ code: 5 });
  expect(await update(relay('a'), ['labels'], { allowMissing: true })).toMatchObject({
    name: 'relays/a',
    generation: 1n,
  });
  expect(await refused(remove('b'))).toMatchObject({ code: 5 });
  await remove('b', { allowMissing: true });
});

test('two relays may share an input, but not an output of it', async () => {
  await create(relay('a'));
  await create(relay('b', { outputPort: 6002 }));
  const error = await refused(create(relay('c', { hosts: ['edge-2', 'edge-1'] })));
  expect(error).toMatchObject({ code: 9, reason: 'RELAY_CONFLICT' });
  expect(error.metadata).toEqual({
    relay: 'relays/c',
    other_relay: 'relays/a',
    host: 'edge-1',
    output: '239.10.10.10:6001@eth1',
  });
  await create(relay('c', { hosts: ['edge-2'] }));
  expect(await refused(update({ name: 'b', spec: relay('b').spec }))).toMatchObject({ reason: 'RELAY_CONFLICT' });
  expect(await update({ name: 'b', displayName: 'B' })).toMatchObject({ displayName: 'B' });
});

test('lists in pages, by name, and by labels', async () => {
  for (let i = 0; i < 7; i++)
    await create(relay(`r${i}`, { outputPort: 7000 + i, labels: { parity: i % 2 ? 'odd' : 'even' } }));
  const names: string[] = [];
  let pageToken = '';
  do {
    const page = await list({ pageSize: 3, pageToken });
    expect(page.totalSize).toBe(7);
    names.push(...page.relays.map(({ name }) => name));
    // What comes or goes between pages neither repeats nor hides others.
    if (pageToken === '') await remove('r0');
    if (pageToken === '') await create(relay('r0', { outputPort: 7000 }));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(names).toEqual(Array.from({ length: 7 }, (_, i) => `relays/r${i}`));
  const odd = await list({ labelSelector: { parity: 'odd' } });
  expect(odd.relays.map(({ name }) => name)).toEqual(['relays/r1', 'relays/r3', 'relays/r5']);
  expect(odd.nextPageToken).toBe('');
  expect(odd.revision).toBe(odd.relays.length > 0 ? (await list()).revision : 0n);
});

test('a page token is good for its list only', async () => {
  for (let i = 0; i < 3; i++) await create(relay(`r${i}`, { outputPort: 7000 + i }));
  const { nextPageToken, resumeToken } = await list({ pageSize: 1 });
  for (const pageToken of ['x', resumeToken, `${nextPageToken.slice(0, -2)}AA`]) {
    expect(await refused(list({ pageSize: 1, pageToken }))).toMatchObject({ code: 3, reason: 'PAGE_TOKEN_INVALID' });
  }
  const other = list({ pageSize: 1, pageToken: nextPageToken, labelSelector: { a: 'b' } });
  expect(await refused(other)).toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
  expect(await refused(list({ pageSize: -1 }))).toMatchObject({ violations: [{ field: 'page_size' }] });
});

test.each(['Bad', 'hosts/a', '', 'relays/'])('the name %j is refused with the field', async (name) => {
  expect(await refused(get(name))).toMatchObject({ code: 3, violations: [{ field: 'name' }] });
});

test('concurrent updates with the same etag: one is taken', async () => {
  const { etag } = await create(relay('a'));
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => update({ name: 'a', etag, displayName: String(i) })),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});
