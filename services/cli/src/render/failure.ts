import { status } from '@grpc/grpc-js';
import type { FleetError } from '@mcfleet/common/error';
import { exitCodes } from '../exit.ts';

/** What a failed call tells the person at the terminal: the message, what the server finds wrong, and the code for scripts. */
export function failureText(error: FleetError): string {
  const lines = error.violations.map(({ field, description }) => `${field}: ${description}`);
  const omitted = error.metadata.violations_omitted;
  if (omitted !== undefined) lines.push(`and ${omitted} more`);
  const reason = error.reason === status[error.code] ? '' : `, ${error.reason}`;
  // "Unreachable" is our own word for it, and the message says all.
  const code = error.reason === 'CONTROLLER_UNREACHABLE' ? '' : ` (${status[error.code] ?? error.code}${reason})`;
  lines.push(`error: ${messageAlone(error)}${code}`);
  if (error.retryDelayMs !== undefined) lines.push(`try again in ${Math.ceil(error.retryDelayMs / 1000)} s`);
  return lines.join('\n');
}

/** The message without the first violation, which controllers repeat in it for who sees nothing else. */
export function messageAlone({ message, violations: [first] }: FleetError): string {
  const at = first === undefined ? -1 : message.indexOf(`: ${first.field}: ${first.description}`);
  return at < 0 ? message : message.slice(0, at);
}

/** 64 + the gRPC status code, as grpcurl exits. */
export function failureExitCode(error: FleetError): number {
  return exitCodes.refusedCall + error.code;
}
