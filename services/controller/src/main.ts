import { FleetError } from '@mcfleet/common/error';
import { createLogger } from '@mcfleet/common/log';
import { onShutdown } from '@mcfleet/common/shutdown';
import { type ControllerOptions, readOptions } from './config/options.ts';
import { Controller } from './controller.ts';

const USAGE_ERROR = 2;

function fail(thrown: unknown, exitCode: number): never {
  process.stderr.write(`${FleetError.from(thrown).message.replaceAll(/^/gm, 'mcfleet controller: ')}\n`);
  process.exit(exitCode);
}

async function serve({ logLevel, heartbeatMs, ...options }: ControllerOptions): Promise<void> {
  const log = createLogger({ component: 'controller', level: logLevel });
  const sessions = heartbeatMs === undefined ? {} : { heartbeatMs };
  const starting = Controller.start({ ...options, log, sessions });
  // Before it says that it serves: whoever reads that may stop it at once.
  onShutdown(log, async () => (await starting).stop());
  await starting;
}

function readOptionsOrFail(): ControllerOptions | string {
  try {
    return readOptions(process.argv.slice(2), process.env);
  } catch (thrown) {
    return fail(thrown, USAGE_ERROR);
  }
}

const options = readOptionsOrFail();
if (typeof options === 'string') process.stdout.write(options);
else await serve(options).catch((thrown: unknown) => fail(thrown, 1));
