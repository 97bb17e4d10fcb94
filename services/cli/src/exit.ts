/** Exit codes of mcfleet; a refused call exits with 64 + the gRPC status code, as grpcurl does. */
export const exitCodes = {
  success: 0,
  failure: 1,
  /** The command line is wrong, or `diff` found differences. */
  usageOrDifferences: 2,
  refusedCall: 64,
} as const;

/** The command line is wrong: the message says what is right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command has failed; what it has to say is on standard error already, or in the message. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: number;

  /** @param message shown as it is; empty if everything has been said */
  constructor(message: string, exitCode: number = exitCodes.failure) {
    super(message);
    this.exitCode = exitCode;
  }
}
