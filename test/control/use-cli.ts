import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { ForeignClient } from '../conformance/foreign-client.ts';
import { LocalController } from '../fleet/local-controller.ts';
import { type McfleetOptions, type McfleetResult, type RunningMcfleet, startMcfleet } from '../fleet/run-mcfleet.ts';

/** The command beside a controller that knows the host edge-1, in a directory of each test's own. */
export interface Cli {
  readonly controller: () => LocalController;
  /** Runs the command in the test's directory, with the controller from the environment. */
  readonly start: (args: readonly string[], options?: McfleetOptions) => RunningMcfleet;
  readonly run: (...args: string[]) => Promise<McfleetResult>;
  readonly write: (file: string, ...documents: string[]) => void;
}

/** For all tests of a file; each leaves no relay behind. */
export function useCli(): Cli {
  let controller: LocalController;
  let directory: string;

  const start = (args: readonly string[], options: McfleetOptions = {}): RunningMcfleet =>
    startMcfleet(args, { cwd: directory, ...options, env: { MCFLEET_SERVER: controller.admin, ...options.env } });
  const run = (...args: string[]): Promise<McfleetResult> => start(args).ended;
  const write = (file: string, ...documents: string[]): void =>
    writeFileSync(join(directory, file), documents.join('---\n'));

  beforeAll(async () => {
    controller = await LocalController.start();
    using hosts = new ForeignClient('FleetService', controller.admin);
    await hosts.call('UpdateHost', { host: { name: 'hosts/edge-1', labels: { role: 'edge' } }, allow_missing: true });
  });
  afterAll(() => controller[Symbol.asyncDispose]());
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mcfleet-cli-'));
  });
  afterEach(async () => {
    const { stdout } = await run('get', 'relays', '-o', 'name');
    if (stdout !== '') await run('delete', 'relay', ...stdout.trim().split('\n'));
    rmSync(directory, { recursive: true });
  });

  return { controller: () => controller, start, run, write };
}
