import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@mcfleet/common/log';
import { ManualClock } from '@mcfleet/common/manual-clock';
import { RelayAssignment } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { afterEach, describe, expect, it } from 'vitest';
import { EMPTY_STATE, type HeldState } from './held-state.ts';
import { StateStore } from './state-store.ts';

const directories: string[] = [];

function fixture() {
  const root = mkdtempSync(join(tmpdir(), 'mcfleet-store-'));
  directories.push(root);
  const directory = join(root, 'agent');
  const clock = new ManualClock();
  const lines: { level: string; msg: string }[] = [];
  const log = createLogger({ component: 'test', destination: { write: (line) => void lines.push(JSON.parse(line)) } });
  const health: string[] = [];
  const open = () => new StateStore({ directory, clock, log, onHealth: (message) => void health.push(message) });
  return { directory, clock, lines, health, open };
}

const stateAt = (revision: bigint): HeldState => ({
  clusterUid: 'c1',
  term: 1n,
  revision,
  assignments: new Map([['a', RelayAssignment.fromPartial({ uid: 'a', generation: revision })]]),
});

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

describe('StateStore', () => {
  it('gives back what was saved last, whoever reads it', async () => {
    const { open, directory } = fixture();
    const store = open();
    expect(await store.load()).toBe(EMPTY_STATE);
    await Promise.all([store.save(stateAt(1n)), store.save(stateAt(2n)), store.save(stateAt(3n))]);
    expect(await open().load()).toEqual(stateAt(3n));
    expect(readdirSync(directory)).toEqual(['cluster.bin', 'state.bin']);
  });

  it('sets a corrupt file aside with all its bytes, says so, and goes on without it', async () => {
    const { open, directory, lines } = fixture();
    await open().save(stateAt(1n));
    const file = join(directory, 'state.bin');
    const broken = readFileSync(file);
    broken.writeUInt8(broken.readUInt8(30) ^ 1, 30);
    writeFileSync(file, broken);
    // It still belongs to its cluster: the controller of another one is not to empty a host that lost its state.
    expect(await open().load()).toEqual({ ...EMPTY_STATE, clusterUid: 'c1', term: 1n });
    const aside = readdirSync(directory).find((name) => name.startsWith('state.bin'));
    expect(aside).toMatch(/^state\.bin\.corrupt-2026-01-01T/);
    expect(readFileSync(join(directory, aside ?? ''))).toEqual(broken);
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'error',
        reason: 'STATE_FILE_CORRUPT',
        set_aside_as: join(directory, aside ?? ''),
      }),
    ]);
  });

  it('starts anew without its files, and knows a cluster by the state alone', async () => {
    const { open, directory } = fixture();
    await open().save(stateAt(1n));
    rmSync(join(directory, 'cluster.bin'));
    const store = open();
    expect(await store.load()).toEqual(stateAt(1n));
    await store.save(stateAt(2n));
    expect(readdirSync(directory)).toEqual(['cluster.bin', 'state.bin']);
    rmSync(directory, { recursive: true });
    expect(await open().load()).toBe(EMPTY_STATE);
  });

  it('writes down which cluster the host has been told to adopt', async () => {
    const { open, directory } = fixture();
    const store = open();
    await store.save(stateAt(1n));
    await store.save({ ...stateAt(2n), clusterUid: 'c2', term: 7n });
    rmSync(join(directory, 'state.bin'));
    expect(await open().load()).toEqual({ ...EMPTY_STATE, clusterUid: 'c2', term: 7n });
  });

  it.each([
    ['a directory', (path: string) => mkdirSync(join(path, 'with-content'), { recursive: true })],
    ['a pipe that nobody writes to', (path: string) => execFileSync('mkfifo', [path])],
  ])('sets %s in the place of the file aside, and can save then', async (_what, make) => {
    const { open, directory, lines } = fixture();
    mkdirSync(directory);
    make(join(directory, 'state.bin'));
    const store = open();
    expect(await store.load()).toBe(EMPTY_STATE);
    expect(readdirSync(directory)).toEqual([expect.stringMatching(/^state\.bin\.corrupt-/)]);
    expect(lines).toEqual([expect.objectContaining({ reason: 'STATE_FILE_CORRUPT', detail: 'it is not a file' })]);
    await store.save(stateAt(1n));
    expect(store.failure).toBe('');
    expect(await open().load()).toEqual(stateAt(1n));
  });

  it('reports a directory that cannot be written once, tries again, and reports that it works', async () => {
    const { open, directory, clock, lines, health } = fixture();
    writeFileSync(directory, 'in the way');
    const store = open();
    await store.save(stateAt(1n));
    await store.save(stateAt(2n));
    expect(store.failure).toContain(directory);
    expect(health).toEqual([store.failure]);
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    rmSync(directory);
    mkdirSync(directory);
    clock.advance(60_000);
    await expect.poll(() => health).toHaveLength(2);
    expect(health[1]).toBe('');
    await store.close();
    expect(await open().load()).toEqual(stateAt(2n));
  });
});
