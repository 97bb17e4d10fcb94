import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { isRunning } from './dataplane-process.ts';

const MODULE = join(import.meta.dirname, 'dataplane-process.ts');

it('lets the output of the agent end with the agent, though the data plane goes on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mcfleet-dataplane-'));
  const launcher = join(directory, 'launcher');
  writeFileSync(launcher, '#!/bin/sh\nexec sleep 20\n', { mode: 0o755 });
  const agent = `
    const { startDataplane } = await import(${JSON.stringify(MODULE)});
    process.stdout.write(String(startDataplane(${JSON.stringify(launcher)}, '/nowhere', []).pid));`;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', agent], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  // Until nobody has the pipe any more.
  const pid = Number(await text(child.stdout));
  expect(await exited).toEqual([0, null]);
  expect(isRunning(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
  rmSync(directory, { recursive: true });
}, 60_000);
