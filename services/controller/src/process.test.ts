import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { parseListenAddress } from '@mcfleet/common/listen';
import { FleetServiceClient } from '@mcfleet/proto/mcfleet/v1/fleet_service';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from './testing/test-controller.ts';

const PROGRAM = join(import.meta.dirname, 'main.ts');
const ANY_PORTS = ['--admin-listen', '127.0.0.1:0', '--agent-listen', '127.0.0.1:0'];
let dataDir: string;
let children: ChildProcess[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'mcfleet-controller-'));
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  /** What it wrote so far. */
  readonly output: { stdout: string; stderr: string };
}

function run(...args: string[]): Running {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString();
  });
  return { child, output, exited: once(child, 'close').then(([code]) => code as number | null) };
}

/** A controller that serves, and what its file tells. */
async function serve(): Promise<Running & { readonly told: { pid: number; admin: string; agent: string } }> {
  const running = run('--data-dir', dataDir, ...ANY_PORTS);
  await eventually(
    () => running.output.stderr,
    (text) => text.includes('"msg":"serving"'),
  );
  return { ...running, told: JSON.parse(readFileSync(join(dataDir, 'controller.json'), 'utf8')) };
}

function register(client: FleetServiceClient, name: string): Promise<Host> {
  const request = { host: Host.fromPartial({ name }), updateMask: undefined, allowMissing: true, validateOnly: false };
  return callUnary(client, 'updateHost', request, { timeoutMs: 30_000 });
}

test('kill -9 under load loses no acknowledged write', async () => {
  const acknowledged: string[] = [];
  for (let round = 0; round < 4; round++) {
    const { child, told, exited } = await serve();
    const client = createClient(FleetServiceClient, parseListenAddress(told.admin));
    let stopped = false;
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let i = 0; !stopped; i++) {
        const name = `r${round}-l${lane}-${i}`;
        await register(client, name).then(
          () => acknowledged.push(name),
          () => {
            stopped = true;
          },
        );
      }
    });
    const before = acknowledged.length;
    await eventually(
      () => acknowledged.length - before,
      (count) => count > 20,
    );
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
    child.kill('SIGKILL');
    await exited;
    await Promise.all(lanes);
    client.close();
  }
  const { told } = await serve();
  const client = createClient(FleetServiceClient, parseListenAddress(told.admin));
  const found = new Set<string>();
  let pageToken = '';
  do {
    const page = await callUnary(
      client,
      'listHosts',
      { pageSize: 1000, pageToken, labelSelector: {} },
      { timeoutMs: 30_000 },
    );
    for (const { name } of page.hosts) found.add(name.slice('hosts/'.length));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  client.close();
  expect(acknowledged.filter((name) => !found.has(name))).toEqual([]);
});

test('a second controller is refused by one line, and the first goes on', async () => {
  const first = await serve();
  const second = run('--data-dir', dataDir, ...ANY_PORTS);
  expect(await second.exited).toBe(1);
  expect(second.output.stderr).toBe(
    `mcfleet controller: another controller (pid ${first.child.pid}) uses the data directory ${dataDir}: stop that one, or give this one another --data-dir\n`,
  );
  const client = createClient(FleetServiceClient, parseListenAddress(first.told.admin));
  expect(await register(client, 'edge-1')).toMatchObject({ name: 'hosts/edge-1' });
  client.close();
});

test.each(['SIGTERM', 'SIGHUP'] as const)(
  '%s ends it in order: exit 0, and nothing left that says it serves',
  async (signal) => {
    const { child, exited, told } = await serve();
    expect(told.pid).toBe(child.pid);
    child.kill(signal);
    expect(await exited).toBe(0);
    expect(existsSync(join(dataDir, 'controller.json'))).toBe(false);
  },
);

test('an address that is taken is named, and the store is free again', async () => {
  const { told } = await serve();
  const other = join(dataDir, 'other');
  const second = run('--data-dir', other, '--admin-listen', told.admin, '--agent-listen', '127.0.0.1:0');
  expect(await second.exited).toBe(1);
  expect(second.output.stderr).toMatch(
    new RegExp(`^mcfleet controller: cannot listen on ${told.admin}: another process listens there.*\n$`),
  );
});

test('a damaged store is refused by one line, and left as it is', async () => {
  const file = join(dataDir, 'store.db');
  const bytes = Buffer.from('not a store '.repeat(1000));
  writeFileSync(file, bytes);
  const { exited, output } = run('--data-dir', dataDir, ...ANY_PORTS);
  expect(await exited).toBe(1);
  expect(output.stderr).toMatch(
    new RegExp(
      `^mcfleet controller: the store ${file} is damaged .* restore it from a backup, or move all of ${dataDir} aside .*\n$`,
    ),
  );
  expect(readFileSync(file)).toEqual(bytes);
});

test.each([
  [['--nope'], /Unknown option '--nope'; see mcfleet controller --help/],
  [['extra'], /Unexpected argument 'extra'/],
  [['--store', 'etcd'], /store etcd is not available in this version/],
  [['--admin-listen', '0.0.0.0:7400'], /admin-listen: 0.0.0.0:7400 can be reached from other machines/],
  [['--agent-listen', 'nowhere'], /agent-listen: 'nowhere' is not an address/],
  [['--log-level', 'loud'], /log-level loud is not known: use one of trace/],
  [['--heartbeat-interval', '0s'], /heartbeat-interval 0s is not an interval/],
  [['--config', '/nonexistent'], /cannot read the configuration file \/nonexistent/],
])('%j is a usage error', async (args, expected) => {
  const { exited, output } = run(...args);
  expect(await exited).toBe(2);
  expect(output.stderr).toMatch(expected);
  expect(output.stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('--help tells everything on stdout', async () => {
  const { exited, output } = run('--help');
  expect(await exited).toBe(0);
  expect(output.stdout).toContain('--admin-listen ADDRESS');
  expect(output.stdout).toContain('Examples:');
  expect(output.stderr).toBe('');
});
