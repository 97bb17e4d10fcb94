import { writeSync } from 'node:fs';
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import { FleetError } from './error.ts';

export type { Logger };

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** What logs: "controller", "agent", "dataplane". */
  readonly component: string;
  /** The least level that is written. Default: "info". */
  readonly level?: LogLevel | undefined;
  /** Where lines go. Default: stderr. */
  readonly destination?: DestinationStream | undefined;
}

/**
 * A logger that writes one JSON object per line. A line that cannot be written, because whoever read stderr is gone or the disk is
 * full, is lost and counted; the program goes on.
 */
export function createLogger({ component, level = 'info', destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: { component, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
    },
    destination ?? stderrLines,
  );
}

/** Says something to the person who started the program, on stderr; never throws, as the log does not. */
export function printError(text: string): void {
  stderrLines.write(`${text}\n`);
}

/** stderr, as a place that never throws. Written synchronously, so that the last line before a crash is there. */
const stderrLines = {
  lost: 0,
  write(line: string): void {
    try {
      if (this.lost > 0) {
        writeAll(
          `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), lost: this.lost, msg: 'lost log lines' })}\n`,
        );
        this.lost = 0;
      }
      writeAll(line);
    } catch {
      // EPIPE, EAGAIN or ENOSPC. There is no other place to tell it; the next line that can be written says how many were lost.
      this.lost += 1;
    }
  },
};

function writeAll(text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(2, bytes, at);
}

function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    type: error.name,
    message: error.message,
    ...(error instanceof FleetError
      ? { reason: error.reason, code: error.code, metadata: error.metadata, violations: error.violations }
      : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
