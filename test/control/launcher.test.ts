import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mcfleet } from '../fleet/fleet.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mcfleet-launcher-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** A program that counts as a Node.js of some version: it says so, and otherwise prints its arguments. */
function fakeNode(reported: string): string {
  const path = join(directory, 'bin', 'node');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n[ "$1" = --version ] && { echo ${reported}; exit 0; }\necho "$@"\n`);
  chmodSync(path, 0o755);
  return dirname(path);
}

/** The launcher in a tree without node_modules, as when nothing was installed. */
function uninstalled(): string {
  const launcher = join(directory, 'tree', 'services', 'cli', 'bin', 'mcfleet');
  mkdirSync(dirname(launcher), { recursive: true });
  cpSync(mcfleet, launcher);
  return launcher;
}

describe('the launcher', () => {
  it('runs through npx from the root of the repository', () => {
    expect(execFileSync('npx', ['mcfleet', '--version'], { cwd: root, encoding: 'utf8', stdio: 'pipe' })).toBe(
      `${version}\n`,
    );
  });

  it('runs through a chain of symbolic links, from another directory', () => {
    symlinkSync(mcfleet, join(directory, 'one'));
    symlinkSync('one', join(directory, 'two'));
    expect(execFileSync('./two', ['--version'], { cwd: directory, encoding: 'utf8' })).toBe(`${version}\n`);
  });

  it('is replaced by the program it starts: signals to its pid reach that', async () => {
    const socket = join(directory, 'nobody.sock');
    const running = spawn(mcfleet, ['get', 'relays', '--server', `unix:${socket}`], { stdio: 'ignore' });
    const argv = (): string => readFileSync(`/proc/${running.pid}/cmdline`, 'utf8');
    const ended = new Promise((resolve) => running.once('exit', resolve));
    let seen = argv();
    while (!seen.includes('main.ts') && running.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen = running.exitCode === null ? argv() : seen;
    }
    expect(seen.split('\0')[0]).toMatch(/node$/);
    await ended;
  });

  it('takes the Node.js on the path if it is new enough', () => {
    const run = spawnSync(uninstalled(), ['get', 'a b'], {
      env: { PATH: `${fakeNode('v24.0.0')}:/usr/bin:/bin` },
      encoding: 'utf8',
    });
    expect(run).toMatchObject({ status: 0, stdout: expect.stringMatching(/services\/cli\/src\/main\.js get a b\n$/) });
  });

  it.each(['v20.20.2', 'v9.0.0', 'nonsense'])('refuses a Node.js that says %s, and says what to do', (reported) => {
    const run = spawnSync(uninstalled(), ['get'], {
      env: { PATH: `${fakeNode(reported)}:/usr/bin:/bin` },
      encoding: 'utf8',
    });
    expect(run.status).toBe(1);
    expect(run.stdout).toBe('');
    expect(run.stderr).toMatch(/^mcfleet: needs Node\.js 24 or newer; found: .*\. Run 'npm install' in .*\n$/);
    expect(run.stderr).toContain(reported);
  });

  it('says so where there is no Node.js at all', () => {
    for (const tool of ['readlink', 'dirname']) {
      mkdirSync(join(directory, 'bin'), { recursive: true });
      symlinkSync(`/usr/bin/${tool}`, join(directory, 'bin', tool));
    }
    const run = spawnSync(uninstalled(), ['get'], { env: { PATH: join(directory, 'bin') }, encoding: 'utf8' });
    expect(run).toMatchObject({ status: 1, stderr: expect.stringContaining('found: none') });
  });

  it.each(['controller', 'agent', 'dataplane'])('mcfleet help %s prints that program’s own help', (program) => {
    const byHelp = spawnSync(mcfleet, ['help', program], { encoding: 'utf8' });
    const byOption = spawnSync(mcfleet, [program, '--help'], { encoding: 'utf8' });
    expect(byHelp).toMatchObject({ status: 0, stderr: '' });
    expect(byHelp.stdout).toBe(byOption.stdout);
    expect(byHelp.stdout).toContain(`mcfleet ${program}`);
  });

  it.each(['controller', 'agent', 'dataplane'])('mcfleet %s --version prints the version', (program) => {
    const run = spawnSync(mcfleet, [program, '--version'], { encoding: 'utf8' });
    expect(run).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('does nothing when there is nowhere to write to, and says so', () => {
    const shell = (command: string) => spawnSync('sh', ['-c', command, mcfleet], { encoding: 'utf8' });
    expect(shell('exec "$0" get relays >&-')).toMatchObject({
      status: 1,
      stderr: 'mcfleet: error: standard output is closed: nothing was done\n',
    });
    expect(shell('exec "$0" get relays >&- 2>&-')).toMatchObject({ status: 1, stdout: '', stderr: '' });
    // Without input or messages it does what it is asked for.
    expect(shell('exec "$0" --version <&- 2>&-')).toMatchObject({ status: 0, stdout: `${version}\n` });
    expect(shell('exec "$0" help >/dev/full')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^error: standard output: .*no space left on device.*\n$/i),
    });
  });

  it('lets whoever reads its output stop early', () => {
    const run = spawnSync('sh', ['-c', `"${mcfleet}" help | head -1; "${mcfleet}" help apply | true`], {
      encoding: 'utf8',
    });
    expect(run).toMatchObject({ status: 0, stderr: '', stdout: 'Usage: mcfleet [options] [command]\n' });
  });
});
