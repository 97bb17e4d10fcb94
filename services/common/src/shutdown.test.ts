import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/**
 * Starts a program that stops as `stop` says, within `timeoutMs`, signals it with each line it logs, and gives its exit code and what it
 * logged.
 */
async function run(
  stop: string,
  timeoutMs: number,
  ...signals: NodeJS.Signals[]
): Promise<{ code: number | null; log: string }> {
  const script = `
    import { createLogger } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))};
    import { onShutdown } from ${JSON.stringify(join(import.meta.dirname, 'shutdown.ts'))};
    const log = createLogger({ component: 'test' });
    onShutdown(log, ${stop}, { timeoutMs: ${timeoutMs} });
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

test('a clean stop exits with 0', async () => {
  const { code, log } = await run('async () => {}', 30_000, 'SIGTERM');
  expect(code).toBe(0);
  expect(log).toContain('"msg":"stopped"');
});

test('a failing stop exits with 1 and says why', async () => {
  const { code, log } = await run('async () => { throw new Error("store is busy"); }', 30_000, 'SIGINT');
  expect(code).toBe(1);
  expect(log).toContain('store is busy');
});

test('a stop that hangs is ended', async () => {
  const { code, log } = await run('() => new Promise(() => {})', 300, 'SIGTERM');
  expect(code).toBe(1);
  expect(log).toContain('did not stop in time');
});

test('a second signal ends it at once', async () => {
  const { code } = await run('() => new Promise(() => {})', 30_000, 'SIGTERM', 'SIGTERM');
  expect(code).toBe(130);
});
