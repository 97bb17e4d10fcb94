import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ShutdownOptions } from './shutdown.ts';

/**
 * Starts a program that stops as `stop` and `options` say, signals it with each line it logs, and gives its exit code and what it
 * logged.
 */
async function run(
  stop: string,
  options: ShutdownOptions,
  ...signals: NodeJS.Signals[]
): Promise<{ code: number | null; log: string }> {
  const script = `
    import { createLogger } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))};
    import { onShutdown } from ${JSON.stringify(join(import.meta.dirname, 'shutdown.ts'))};
    const log = createLogger({ component: 'test' });
    onShutdown(log, ${stop}, ${JSON.stringify(options)});
    setInterval(() => {}, 1000);
    log.info('ready');`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exit = once(child, 'exit');
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
    const signal = signals.shift();
    if (signal !== undefined) child.kill(signal);
  });
  const [code] = await exit;
  return { code, log };
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('a clean stop after %s exits with 0', async (signal) => {
  const { code, log } = await run('async () => {}', { timeoutMs: 30_000 }, signal);
  expect(code).toBe(0);
  expect(log).toContain('"msg":"stopped"');
});

test('a failing stop exits with 1 and says why', async () => {
  const { code, log } = await run('async () => { throw new Error("store is busy"); }', { timeoutMs: 30_000 }, 'SIGINT');
  expect(code).toBe(1);
  expect(log).toContain('store is busy');
});

test('a stop that hangs is ended', async () => {
  const { code, log } = await run('() => new Promise(() => {})', { timeoutMs: 300 }, 'SIGTERM');
  expect(code).toBe(1);
  expect(log).toContain('did not stop in time');
});

test('a second signal ends it at once', async () => {
  const { code } = await run('() => new Promise(() => {})', { timeoutMs: 30_000 }, 'SIGTERM', 'SIGTERM');
  expect(code).toBe(130);
});

test('a terminal that goes, and says so twice, lets it stop cleanly', async () => {
  const slowly = 'async () => { log.info("busy"); await new Promise((resolve) => setTimeout(resolve, 500)); }';
  const { code, log } = await run(slowly, { timeoutMs: 30_000 }, 'SIGHUP', 'SIGHUP');
  expect(code).toBe(0);
  expect(log).toContain('"msg":"stopped"');
});
