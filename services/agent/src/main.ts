import { join } from 'node:path';
import { systemClock } from '@mcfleet/common/clock';
import { FleetError } from '@mcfleet/common/error';
import { createLogger } from '@mcfleet/common/log';
import { onShutdown } from '@mcfleet/common/shutdown';
import { VERSION } from '@mcfleet/common/version';
import { Agent } from './agent.ts';
import { lockStateDirectory } from './cache/state-lock.ts';
import { lockDataplane } from './dataplane/dataplane-lock.ts';
import { readHostFacts } from './inventory/host-facts.ts';
import { type AgentOptions, parseAgentOptions } from './options.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** The script that starts each of mcfleet's programs; the data plane is one of them. */
const LAUNCHER = process.env.MCFLEET_LAUNCHER ?? join(import.meta.dirname, '../../cli/bin/mcfleet');

function readOptions(): AgentOptions {
  try {
    const options = parseAgentOptions(process.argv.slice(2), { env: process.env, uid: process.getuid?.() ?? -1 });
    if (typeof options !== 'string') return options;
    process.stdout.write(options);
    process.exit(0);
  } catch (thrown) {
    const error = FleetError.from(thrown);
    if (error.reason !== 'USAGE') throw thrown;
    process.stderr.write(`${error.message.replaceAll(/^/gm, 'mcfleet agent: ')}\nTry 'mcfleet agent --help'.\n`);
    process.exit(EXIT_USAGE);
  }
}

async function run(options: AgentOptions): Promise<void> {
  const log = createLogger({ component: 'agent', level: options.logLevel });
  // Timers of the clock do not keep the process alive, and without controller and data plane there is nothing else.
  setInterval(() => {}, 2 ** 30);
  const locks = [lockStateDirectory(options.stateDir), lockDataplane(options.dataplaneSocket)];
  for (const { warning } of locks) if (warning !== '') log.error({ detail: warning }, 'cannot lock; going on without');
  const agent = new Agent({
    ...options,
    launcher: LAUNCHER,
    version: VERSION,
    hostFacts: readHostFacts(),
    clock: systemClock,
    log,
  });
  onShutdown(log, async () => {
    await agent.stop();
    for (const lock of locks) lock.release();
  });
  await agent.start();
}

const options = readOptions();
try {
  await run(options);
} catch (thrown) {
  process.stderr.write(`mcfleet agent: ${FleetError.from(thrown).message}\n`);
  process.exit(EXIT_FAILURE);
}
