import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, beforeEach, describe, type TestContext } from 'vitest';

const version = 'v1.9.3';
const directory = fileURLToPath(new URL('../../.cache/bin', import.meta.url));
const binary = `${directory}/grpcurl-${version}`;

/** Building it takes about a minute where nothing is cached, in milliseconds. */
export const installTimeoutMs = 300_000;

let obstacle: { readonly reason: string | undefined } | undefined;

/** What a run of grpcurl left. */
export interface GrpcurlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why grpcurl cannot be had here; undefined if it can. Builds it from its Go module when it is not there yet. */
function whyNot(): string | undefined {
  if (existsSync(binary)) return undefined;
  if (spawnSync('go', ['version']).status !== 0) return 'go is not installed, which builds grpcurl';
  mkdirSync(directory, { recursive: true });
  const install = spawnSync('go', ['install', `github.com/fullstorydev/grpcurl/cmd/grpcurl@${version}`], {
    env: { ...process.env, GOBIN: directory },
    encoding: 'utf8',
    timeout: installTimeoutMs,
  });
  if (install.status !== 0) return `go could not build grpcurl ${version}: ${install.stderr.trim().split('\n').at(-1)}`;
  renameSync(`${directory}/grpcurl`, binary);
  return undefined;
}

/**
 * A directory with the real grpcurl in it under its own name, for a PATH: made inside `parent`. Skips the test with the reason where
 * grpcurl cannot be had.
 */
export function grpcurlDirectory(context: TestContext, parent: string): string {
  obstacle ??= { reason: whyNot() };
  if (obstacle.reason !== undefined) context.skip(obstacle.reason);
  const path = join(parent, 'grpcurl-bin');
  mkdirSync(path, { recursive: true });
  symlinkSync(binary, join(path, 'grpcurl'));
  return path;
}

/** A group of tests that use the real grpcurl; each is skipped with the reason where it cannot be had. */
export function describeWithGrpcurl(name: string, tests: () => void): void {
  describe(name, () => {
    beforeAll(() => {
      obstacle ??= { reason: whyNot() };
    }, installTimeoutMs);
    beforeEach((context) => {
      if (obstacle?.reason !== undefined) context.skip(obstacle.reason);
    });
    tests();
  });
}

/** True where grpcurl cannot be had; known once the tests of a group run. */
export function lacksGrpcurl(): boolean {
  return obstacle?.reason !== undefined;
}

/** Starts grpcurl; its output comes as it is written. */
export function startGrpcurl(args: readonly string[]): ChildProcess {
  return spawn(binary, ['-plaintext', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Runs grpcurl to its end, without TLS. `input` is what `-d @` reads. */
export async function grpcurl(args: readonly string[], input = ''): Promise<GrpcurlResult> {
  const running = startGrpcurl(args);
  let stdout = '';
  let stderr = '';
  running.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  running.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // It may end without reading what it is given.
  running.stdin?.on('error', () => undefined).end(input);
  const code = await new Promise<number>((resolve, reject) => {
    running.on('error', reject);
    running.on('close', (status) => resolve(status ?? -1));
  });
  return { code, stdout, stderr };
}
