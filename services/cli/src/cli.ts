import type { Command } from 'commander';
import { Connection, parseServer } from './client/connection.ts';
import { UsageError } from './exit.ts';
import { type Paint, paintFor } from './render/paint.ts';
import { jsonText, protoJson } from './render/proto-json.ts';
import { parseDuration } from './text/duration.ts';
import { printable } from './text/printable.ts';

/** What a command gets from the process it runs in. */
export interface CliProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdoutIsTerminal: boolean;
  writeStdout(text: string): void;
  writeStderr(text: string): void;
  /** Unix milliseconds. */
  now(): number;
}

/** Options before or after every command. */
interface GlobalOptions {
  readonly server?: string;
  readonly timeout?: string;
}

/** What an operation takes at most for each object on a busy machine, in milliseconds. */
const msPerObject = 5;

export const defaultServer = '127.0.0.1:7400';

/** What all commands share: output, the global options, and the connection to the controller. */
export class Cli {
  readonly process: CliProcess;
  readonly paint: Paint;
  #connection: Connection | undefined;

  constructor(process: CliProcess) {
    this.process = process;
    this.paint = paintFor(process.stdoutIsTerminal, process.env);
  }

  /** Data. */
  print(text: string): void {
    this.process.writeStdout(text);
  }

  /** A message for the person at the terminal, one or more lines. */
  say(text: string): void {
    this.process.writeStderr(`${printable(text, { lines: true })}\n`);
  }

  /** A message of the API as canonical ProtoJSON, indented as grpcurl does it. */
  printJson(typeName: string, message: unknown): void {
    this.print(`${jsonText(protoJson(typeName, message), 2)}\n`);
  }

  /** The same on one line, for streams. */
  printJsonLine(typeName: string, message: unknown): void {
    this.print(`${jsonText(protoJson(typeName, message))}\n`);
  }

  /**
   * The connection to the controller that --server or MCFLEET_SERVER names. It connects with the first call.
   * @throws UsageError
   */
  connection(command: Command): Connection {
    const { server } = command.optsWithGlobals<GlobalOptions>();
    const fromEnv = this.process.env.MCFLEET_SERVER;
    this.#connection ??= new Connection({
      address: parseServer(server ?? (fromEnv || defaultServer)),
      timeoutMs: this.timeoutMs(command, 10_000),
      timeoutMsPerObject: this.patienceMs(command, 1),
    });
    return this.#connection;
  }

  /**
   * Milliseconds of --timeout, or the default of the command.
   * @throws UsageError
   */
  timeoutMs(command: Command, defaultMs: number): number {
    const { timeout } = command.optsWithGlobals<GlobalOptions>();
    if (timeout === undefined) return defaultMs;
    const ms = parseDuration(timeout);
    if (ms === undefined) throw new UsageError(`--timeout "${timeout}" is not a duration: write 500ms, 10s, 2m or 1h`);
    return ms;
  }

  /** Milliseconds more for an operation on many objects; none if --timeout says how long all of it may take. */
  patienceMs(command: Command, objects: number): number {
    return command.optsWithGlobals<GlobalOptions>().timeout === undefined ? objects * msPerObject : 0;
  }

  /** Frees what keeps the process running. */
  close(): void {
    this.#connection?.close();
  }
}
