import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LocalController } from '../fleet/local-controller.ts';
import { detailsOf, ForeignClient, type Message } from './foreign-client.ts';

let controller: LocalController;
let relays: ForeignClient;
let hosts: ForeignClient;

beforeAll(async () => {
  controller = await LocalController.start();
  relays = new ForeignClient('RelayService', controller.admin);
  hosts = new ForeignClient('FleetService', controller.admin);
  await hosts.call('UpdateHost', { host: { name: 'hosts/edge-1' }, allow_missing: true });
});
afterAll(async () => {
  relays[Symbol.dispose]();
  hosts[Symbol.dispose]();
  await controller[Symbol.asyncDispose]();
});
beforeEach(async () => {
  for (const { name } of await listAll()) await relays.call('DeleteRelay', { name });
});

function relay(id: string, changes: object = {}): Message {
  return {
    name: `relays/${id}`,
    spec: {
      hosts: { names: ['edge-1'] },
      input: { interface: 'eth0', group: '239.1.1.1', port: 5001 },
      outputs: [{ interface: 'eth1', address: `239.10.10.${id.length}`, port: 6001 }],
      ...changes,
    },
  };
}

async function listAll(): Promise<Message[]> {
  return ((await relays.call('ListRelays', { page_size: 1000 })).relays ?? []) as Message[];
}

describe('RelayService, for a client made from the .proto files', () => {
  it('creates, reads, refuses a second one of the name, and deletes', async () => {
    const created = await relays.call('CreateRelay', { relay_id: 'a', relay: relay('a') });
    expect(created).toMatchObject({ name: 'relays/a', generation: '1', uid: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(created.etag).toMatch(/^".+"$/);
    const read = await relays.call('GetRelay', { name: 'relays/a' });
    expect(read).toMatchObject({ uid: created.uid, spec: created.spec as object });

    const again = relays.call('CreateRelay', { relay: relay('a') });
    await expect(again).rejects.toMatchObject({ code: status.ALREADY_EXISTS });
    await relays.call('DeleteRelay', { name: 'relays/a' });
    await expect(relays.call('GetRelay', { name: 'relays/a' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    await expect(relays.call('DeleteRelay', { name: 'relays/a' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    await relays.call('DeleteRelay', { name: 'relays/a', allow_missing: true });
  });

  it('answers a repeated request_id as the first time', async () => {
    const request = { relay: relay('a'), request_id: '0190aaaa-0000-7000-8000-000000000001' };
    const first = await relays.call('CreateRelay', request);
    expect(await relays.call('CreateRelay', request)).toEqual(first);
    const other = { ...request, relay: relay('b') };
    await expect(relays.call('CreateRelay', other)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('with validate_only checks everything and stores nothing', async () => {
    await relays.call('CreateRelay', { relay: relay('a'), validate_only: true });
    expect(await listAll()).toEqual([]);
    await expect(relays.call('GetRelay', { name: 'relays/a' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    await relays.call('CreateRelay', { relay: relay('a') });
    await relays.call('UpdateRelay', { relay: relay('a', { engine: 'RELAY_ENGINE_USERSPACE' }), validate_only: true });
    await relays.call('DeleteRelay', { name: 'relays/a', validate_only: true });
    expect(await relays.call('GetRelay', { name: 'relays/a' })).toMatchObject({ generation: '1' });
  });

  it('reports every violation at once, with field paths in the details', async () => {
    const bad = relay('a', { input: { interface: '', group: '10.0.0.300', port: 70_000 } });
    const error = await relays.call('CreateRelay', { relay: bad }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
    for (const field of ['interface', 'group', 'port']) expect(detailsOf(error)).toContain(`relay.spec.input.${field}`);
  });

  it('lists in pages, by name, each relay once', async () => {
    const ids = ['a', 'bb', 'ccc', 'dddd', 'eeeee'];
    for (const id of [...ids].reverse()) await relays.call('CreateRelay', { relay: relay(id) });
    const names: unknown[] = [];
    const sizes: number[] = [];
    let token: unknown = '';
    do {
      const page = await relays.call('ListRelays', { page_size: 2, page_token: token });
      const onPage = (page.relays ?? []) as Message[];
      expect(page.total_size).toBe(5);
      sizes.push(onPage.length);
      names.push(...onPage.map(({ name }) => name));
      token = page.next_page_token;
    } while (token !== undefined && token !== '' && sizes.length < 10);
    expect(sizes).toEqual([2, 2, 1]);
    expect(names).toEqual(ids.map((id) => `relays/${id}`));
    const madeUp = relays.call('ListRelays', { page_token: 'made-up' });
    await expect(madeUp).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('updates only what the mask names; generation rises with the spec only', async () => {
    await relays.call('CreateRelay', { relay: { ...relay('a'), labels: { site: 'one' } } });
    const changes = { ...relay('a', { engine: 'RELAY_ENGINE_USERSPACE' }), labels: { site: 'two' } };
    const labelled = await relays.call('UpdateRelay', { relay: changes, update_mask: { paths: ['labels'] } });
    expect(labelled).toMatchObject({ labels: { site: 'two' }, generation: '1' });
    expect((labelled.spec as Message).engine).not.toBe('RELAY_ENGINE_USERSPACE');
    const changed = await relays.call('UpdateRelay', { relay: changes, update_mask: { paths: ['spec.engine'] } });
    expect(changed).toMatchObject({ spec: { engine: 'RELAY_ENGINE_USERSPACE' }, generation: '2' });
    const unknown = relays.call('UpdateRelay', { relay: changes, update_mask: { paths: ['spec.nothing'] } });
    await expect(unknown).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('refuses a stale etag with ABORTED and says so in the details', async () => {
    const { etag } = await relays.call('CreateRelay', { relay: relay('a') });
    const update = { relay: { ...relay('a'), etag, labels: { n: '1' } }, update_mask: { paths: ['labels'] } };
    const { etag: newer } = await relays.call('UpdateRelay', update);
    expect(newer).not.toBe(etag);
    for (const [method, request] of [
      ['UpdateRelay', update],
      ['DeleteRelay', { name: 'relays/a', etag }],
    ] as const) {
      const error = await relays.call(method, request).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: status.ABORTED });
      expect(detailsOf(error)).toContain('ETAG_MISMATCH');
    }
    await relays.call('DeleteRelay', { name: 'relays/a', etag: newer });
  });

  it('applies a set: creates, updates with the fields that differ, leaves, and prunes', async () => {
    const labels = { set: 'x' };
    const first = [relay('a'), relay('bb'), relay('ccc')].map((one) => ({ ...one, labels }));
    const actions = async (request: object): Promise<unknown[]> => {
      const { results } = await relays.call('ApplyRelays', request);
      return (results as Message[]).map(({ name, action }) => [name, action]);
    };
    expect(await actions({ relays: first })).toEqual([
      ['relays/a', 'APPLY_ACTION_CREATED'],
      ['relays/bb', 'APPLY_ACTION_CREATED'],
      ['relays/ccc', 'APPLY_ACTION_CREATED'],
    ]);
    const changed = {
      ...relay('bb', { outputs: [{ interface: 'eth1', address: '239.10.10.2', port: 6002 }] }),
      labels,
    };
    const second = { relays: [{ ...relay('a'), labels }, changed], prune_selector: labels };
    const expected = [
      ['relays/a', 'APPLY_ACTION_UNCHANGED'],
      ['relays/bb', 'APPLY_ACTION_UPDATED'],
      ['relays/ccc', 'APPLY_ACTION_PRUNED'],
    ];
    expect(await actions({ ...second, validate_only: true })).toEqual(expected);
    expect(await listAll()).toHaveLength(3);
    const { results } = await relays.call('ApplyRelays', second);
    expect((results as Message[])[1]).toMatchObject({
      diffs: [{ path: 'spec.outputs[0].port', old_json: '6001', new_json: '6002' }],
    });
    expect((await listAll()).map(({ name }) => name)).toEqual(['relays/a', 'relays/bb']);
  });

  it('applies all or nothing, and without atomic what is good', async () => {
    const bad = relay('bad', { outputs: [{ interface: 'eth1', port: 70_000 }] });
    const error = await relays.call('ApplyRelays', { relays: [relay('a'), bad] }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(detailsOf(error)).toContain('relays[1].spec.outputs[0].port');
    expect(await listAll()).toEqual([]);
    const { results } = await relays.call('ApplyRelays', { relays: [relay('a'), bad], atomic: false });
    expect((results as Message[]).map(({ action }) => action)).toEqual(['APPLY_ACTION_CREATED', 'APPLY_ACTION_FAILED']);
    expect((await listAll()).map(({ name }) => name)).toEqual(['relays/a']);
  });

  it('watches: what is there, then every change, and continues after a token without a gap', async () => {
    await relays.call('CreateRelay', { relay: relay('a') });
    const eventsOf = (messages: readonly Message[]): Message[] =>
      messages.flatMap(({ events }) => (events ?? []) as Message[]);
    const has = (type: string) => (message: Message) => eventsOf([message]).some((event) => event.type === type);
    const initial = await relays.read('WatchRelays', { send_initial: true }, has('CHANGE_TYPE_SYNCED'));
    expect(eventsOf(initial).map(({ type, relay: one }) => [type, (one as Message | undefined)?.name])).toEqual([
      ['CHANGE_TYPE_ADDED', 'relays/a'],
      ['CHANGE_TYPE_SYNCED', undefined],
    ]);

    const { resume_token } = await relays.call('ListRelays', {});
    await relays.call('CreateRelay', { relay: relay('bb') });
    await relays.call('DeleteRelay', { name: 'relays/a' });
    const changes = await relays.read('WatchRelays', { resume_token }, has('CHANGE_TYPE_DELETED'));
    const told = eventsOf(changes).map(({ type, relay: one }) => `${type} ${(one as Message).name}`);
    expect(told).toContain('CHANGE_TYPE_ADDED relays/bb');
    expect(told.at(-1)).toBe('CHANGE_TYPE_DELETED relays/a');
    expect(changes.every((message) => message.resume_token !== '')).toBe(true);
  });

  it('watches by label: a relay that stops matching is told as deleted', async () => {
    await relays.call('CreateRelay', { relay: { ...relay('a'), labels: { site: 'one' } } });
    const seen: string[] = [];
    const watching = relays.read('WatchRelays', { send_initial: true, label_selector: { site: 'one' } }, (message) => {
      for (const { type } of (message.events ?? []) as Message[]) {
        seen.push(String(type));
        if (type !== 'CHANGE_TYPE_SYNCED') continue;
        void relays.call('UpdateRelay', {
          relay: { ...relay('a'), labels: { site: 'two' } },
          update_mask: { paths: ['labels'] },
        });
      }
      return seen.includes('CHANGE_TYPE_DELETED');
    });
    await watching;
    expect(seen[0]).toBe('CHANGE_TYPE_ADDED');
  });
});

describe('FleetService, for a client made from the .proto files', () => {
  it('registers, lists, labels and forgets a host', async () => {
    await hosts.call('UpdateHost', { host: { name: 'hosts/edge-2', labels: { role: 'edge' } }, allow_missing: true });
    const listed = await hosts.call('ListHosts', { label_selector: { role: 'edge' } });
    expect((listed.hosts as Message[]).map(({ name }) => name)).toEqual(['hosts/edge-2']);
    await hosts.call('DeleteHost', { name: 'hosts/edge-2' });
    await expect(hosts.call('GetHost', { name: 'hosts/edge-2' })).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it('keeps a host that a relay names', async () => {
    await relays.call('CreateRelay', { relay: relay('a') });
    const refused = hosts.call('DeleteHost', { name: 'hosts/edge-1' });
    await expect(refused).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
  });
});

describe('a controller that is killed', () => {
  it('keeps what it acknowledged when it is killed', async () => {
    const { etag } = await relays.call('CreateRelay', { relay: relay('kept') });
    await controller.end('SIGKILL');
    await controller.startAgain();
    using again = new ForeignClient('RelayService', controller.admin);
    expect(await again.call('GetRelay', { name: 'relays/kept' })).toMatchObject({ etag });
  });
});
