import type { status } from '@grpc/grpc-js';

/** One thing that is wrong with a request. */
export interface FieldViolation {
  /** Path in the request, as in the .proto files: `relay.spec.outputs[2].port`. */
  readonly field: string;
  /** What is wrong and what would be right. */
  readonly description: string;
}

export interface FleetErrorOptions {
  /** gRPC status code; never OK. */
  readonly code: status;
  /** Stable code for programs, UPPER_SNAKE_CASE, at most 63 characters. The same reason always means the same. */
  readonly reason: string;
  /** What failed, on which object, and what to do. For people; no internals. */
  readonly message: string;
  /** Facts for programs, such as the current etag. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Everything that is wrong with the request, for INVALID_ARGUMENT. */
  readonly violations?: readonly FieldViolation[] | undefined;
  /** Milliseconds to wait before trying again. */
  readonly retryDelayMs?: number | undefined;
  /** What led to it: for logs, never sent to a client. */
  readonly cause?: unknown;
}

/** gRPC status codes that `from` needs; the library itself is not loaded for some numbers. */
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const INTERNAL = 13;

/** The one error type of mcfleet: what a program, a person and a log each need to know. */
export class FleetError extends Error {
  override readonly name = 'FleetError';
  readonly code: status;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryDelayMs: number | undefined;

  constructor(options: FleetErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.reason = options.reason;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryDelayMs = options.retryDelayMs;
  }

  /**
   * Makes a FleetError of whatever was thrown. A FleetError stays as it is; an abort is CANCELLED, the end of
   * AbortSignal.timeout is DEADLINE_EXCEEDED; everything else is INTERNAL and keeps its message, and itself as the cause. For errors of a gRPC call see `fromServiceError`.
   */
  static from(thrown: unknown): FleetError {
    if (thrown instanceof FleetError) return thrown;
    if (thrown instanceof Error && thrown.name === 'AbortError') {
      return new FleetError({ code: CANCELLED, reason: 'CANCELLED', message: 'cancelled', cause: thrown });
    }
    if (thrown instanceof Error && thrown.name === 'TimeoutError') {
      const message = 'it took too long';
      return new FleetError({ code: DEADLINE_EXCEEDED, reason: 'DEADLINE_EXCEEDED', message, cause: thrown });
    }
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new FleetError({ code: INTERNAL, reason: 'INTERNAL', message, cause: thrown });
  }
}
