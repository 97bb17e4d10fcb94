import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { FleetError } from './error.ts';
import { createLogger } from './log.ts';

test('a line is one JSON object with component, level, time and the whole error', () => {
  const lines: string[] = [];
  const log = createLogger({ component: 'agent', destination: { write: (line) => lines.push(line) } });
  const cause = new Error('disk full');
  const err = new FleetError({ code: status.INTERNAL, reason: 'CACHE_WRITE', message: 'cannot save', cause });
  log.debug('not written at level info');
  log.error({ err, relay: 'relays/a' }, 'cannot save state');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    component: 'agent',
    level: 'error',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    relay: 'relays/a',
    msg: 'cannot save state',
    err: { message: 'cannot save', reason: 'CACHE_WRITE', code: 13, cause: { message: 'disk full' } },
  });
});

test('a program outlives the reader of its stderr', async () => {
  const script = `
    import { createLogger } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))};
    const log = createLogger({ component: 'test' });
    log.info('first');
    process.stdin.once('data', () => {
      log.info('nobody reads this');
      log.info('nor this');
      process.exit(7);
    });`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const exit = once(child, 'exit');
  const [first] = await once(child.stderr, 'data');
  expect(String(first)).toContain('"msg":"first"');
  child.stderr.destroy();
  await once(child.stderr, 'close');
  child.stdin.write('go');
  expect(await exit).toEqual([7, null]);
});
