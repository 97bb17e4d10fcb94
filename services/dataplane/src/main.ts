// The program `mcfleet dataplane`: hosts the packet path of one host and serves its agent. Started by services/cli/bin/mcfleet.
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { systemClock } from '@mcfleet/common/clock';
import { FleetError } from '@mcfleet/common/error';
import { GrpcServer } from '@mcfleet/common/grpc/server';
import { parseListenAddress } from '@mcfleet/common/listen';
import { createLogger, printError } from '@mcfleet/common/log';
import { onShutdown } from '@mcfleet/common/shutdown';
import { VERSION } from '@mcfleet/common/version';
import { createForwarder, type Forwarder, type ForwarderOptions, openMulticastTable } from '@mcfleet/native';
import { KernelEngine } from './kernel/kernel-engine.ts';
import type { OpenTable } from './kernel/kernel-table.ts';
import { type DataplaneOptions, parseCommand } from './options.ts';
import { dataplaneService, MAX_MESSAGE_BYTES } from './service.ts';
import { Starter } from './starter.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** EX_NOPERM of sysexits.h. */
const EXIT_NO_PERMISSION = 77;
/** EX_CONFIG of sysexits.h: this host has not what the options ask for. */
const EXIT_OPTIONS = 78;

/** After its start, when the first relays are programmed as well. */
const KEEP_COMPILED_AFTER_MS = 500;

const starter = new Starter(process.env);

const NO_CAPABILITY = `the capability CAP_NET_RAW is missing, without which no packets can be received from an interface.
Run it as root, or let systemd give it: AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN; in a container: --cap-add NET_RAW,NET_ADMIN`;

async function main(): Promise<void> {
  const command = parseCommand(process.argv.slice(2), VERSION);
  switch (command.kind) {
    case 'print':
      writeSync(1, command.text);
      return;
    case 'usage-error':
      exitWith(EXIT_USAGE, `${command.message}\nSee 'mcfleet dataplane --help'.`);
      return;
    case 'run':
      await serve(command.options);
  }
}

async function serve({ socket, logLevel, forwarding, mrouteTable }: DataplaneOptions): Promise<void> {
  const log = createLogger({ component: 'dataplane', level: logLevel });
  // It outlives the agent and the terminal that started it; who wants it to end says so by SIGTERM.
  process.on('SIGHUP', () => log.info('stays although its terminal is gone'));

  const forwarder = openForwarder(forwarding);
  const open: OpenTable = (family) => openMulticastTable(family, mrouteTable);
  const kernel = new KernelEngine({ open, clock: systemClock, log });
  const server = new GrpcServer({
    log,
    services: [dataplaneService(forwarder, kernel, { forwarding, mrouteTable }, systemClock)],
    maxMessageBytes: MAX_MESSAGE_BYTES,
  });
  await server.listen(parseListenAddress(`unix:${socket}`));
  onShutdown(
    log,
    async () => {
      await server.stop({ graceMs: 1000 });
      await forwarder.close();
      await kernel.close();
    },
    { signals: ['SIGTERM', 'SIGINT'] },
  );
  starter.done();
  // Node keeps what it has compiled when a process ends in order. One that is killed shall leave it to the next one too: compiling takes
  // longer than all else of a start, and no other program's is of use, because V8's flags are not the same.
  setTimeout(flushCompileCache, KEEP_COMPILED_AFTER_MS).unref();
  log.info({ socket, version: VERSION, ms: Math.round(performance.now()) }, 'serves');
}

function openForwarder(options: ForwarderOptions): Forwarder {
  try {
    return createForwarder(options);
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'EPERM') exitWith(EXIT_NO_PERMISSION, NO_CAPABILITY);
    if (code === 'EINVAL') exitWith(EXIT_OPTIONS, FleetError.from(thrown).message);
    throw thrown;
  }
}

/** Says on stderr why the program ends. */
function exitWith(code: number, message: string): never {
  starter.tell(message);
  printError(`mcfleet dataplane: ${message}`);
  process.exit(code);
}

main().catch((thrown: unknown) => exitWith(EXIT_FAILURE, FleetError.from(thrown).message));
