import { Metadata, type ServiceError, status as StatusCode } from '@grpc/grpc-js';
import { Any } from '@mcfleet/proto/google/protobuf/any';
import { BadRequest, ErrorInfo, RetryInfo } from '@mcfleet/proto/google/rpc/error_details';
import { Status } from '@mcfleet/proto/google/rpc/status';
import { toDuration, toMilliseconds } from './duration.ts';
import { type FieldViolation, FleetError } from './error.ts';

/** ErrorInfo.domain of every error that mcfleet makes. */
export const ERROR_DOMAIN = 'mcfleet';

/** The trailer that carries the google.rpc.Status, as every gRPC implementation knows it. */
const DETAILS_KEY = 'grpc-status-details-bin';

/**
 * Bytes of google.rpc.Status in a trailer. gRPC implementations may refuse headers above 8 KiB (grpc.max_metadata_size), and
 * base64 adds a third.
 */
const MAX_DETAILS_BYTES = 5000;

/** Characters of a message in a trailer, where each may become nine by percent-encoding. */
const MAX_MESSAGE_LENGTH = 1000;

const TYPE_PREFIX = 'type.googleapis.com/';

/** The error as google.rpc.Status with ErrorInfo, and BadRequest and RetryInfo where there is something to say. */
export function toRpcStatus(error: FleetError): Status {
  const info = ErrorInfo.fromPartial({ reason: error.reason, domain: ERROR_DOMAIN, metadata: { ...error.metadata } });
  const details = [pack(ErrorInfo.$type, ErrorInfo.encode(info).finish())];
  if (error.violations.length > 0) {
    const bad = BadRequest.fromPartial({ fieldViolations: error.violations.map((violation) => ({ ...violation })) });
    details.push(pack(BadRequest.$type, BadRequest.encode(bad).finish()));
  }
  if (error.retryDelayMs !== undefined) {
    const retry = RetryInfo.fromPartial({ retryDelay: toDuration(error.retryDelayMs) });
    details.push(pack(RetryInfo.$type, RetryInfo.encode(retry).finish()));
  }
  return { code: error.code, message: error.message, details };
}

/** The error that a google.rpc.Status tells about. Details of unknown types are left out. */
export function fromRpcStatus(rpcStatus: Status): FleetError {
  let info: ErrorInfo | undefined;
  let violations: FieldViolation[] = [];
  let retryDelayMs: number | undefined;
  for (const detail of rpcStatus.details) {
    switch (detail.typeUrl.slice(detail.typeUrl.lastIndexOf('/') + 1)) {
      case ErrorInfo.$type:
        info = ErrorInfo.decode(detail.value);
        break;
      case BadRequest.$type:
        violations = BadRequest.decode(detail.value).fieldViolations.map(({ field, description }) => ({
          field,
          description,
        }));
        break;
      case RetryInfo.$type: {
        const { retryDelay } = RetryInfo.decode(detail.value);
        if (retryDelay !== undefined) retryDelayMs = toMilliseconds(retryDelay);
        break;
      }
    }
  }
  return new FleetError({
    code: rpcStatus.code,
    reason: info?.reason ?? StatusCode[rpcStatus.code] ?? 'UNKNOWN',
    message: rpcStatus.message,
    metadata: info?.metadata,
    violations,
    retryDelayMs,
  });
}

/**
 * The error as grpc-js sends it: code, message, and the details in a trailer. More violations than a trailer holds are cut, and
 * ErrorInfo.metadata then says how many by `violations_omitted`.
 */
export function toServiceError(error: FleetError): ServiceError {
  // A lone surrogate would make grpc-js throw while it encodes the trailer.
  const details = cut(error.message.toWellFormed(), MAX_MESSAGE_LENGTH);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, encodeWithinBound(error, details));
  return Object.assign(new Error(details, { cause: error }), { code: error.code, details, metadata });
}

/** The error that a failed call ended with, as grpc-js gives it to a client. */
export function fromServiceError(error: ServiceError): FleetError {
  const [trailer] = error.metadata?.get(DETAILS_KEY) ?? [];
  if (Buffer.isBuffer(trailer)) {
    const rpcStatus = Status.decode(trailer);
    if (rpcStatus.code === error.code) return fromRpcStatus(rpcStatus);
  }
  const reason = StatusCode[error.code] ?? 'UNKNOWN';
  return new FleetError({ code: error.code, reason, message: plainly(error.details || error.message), cause: error });
}

/** What grpc-js itself says of a call, without the names of its parts. */
function plainly(details: string): string {
  const late = /^Deadline exceeded after ([0-9.]+)s\b/.exec(details);
  if (late !== null) return `no answer came within ${Number(late[1]).toFixed(1)} s`;
  return details.replace(
    /^No connection established\. Last error: (?:Error: )?(.*?)\. Resolution note: .*$/s,
    'cannot connect: $1',
  );
}

function encodeWithinBound(error: FleetError, message: string): Buffer {
  for (let kept = error.violations.length; ; kept = Math.floor(kept / 2)) {
    const omitted = error.violations.length - kept;
    const bounded = new FleetError({
      code: error.code,
      reason: error.reason,
      message,
      metadata: omitted === 0 ? error.metadata : { ...error.metadata, violations_omitted: String(omitted) },
      violations: error.violations.slice(0, kept),
      retryDelayMs: error.retryDelayMs,
    });
    const bytes = Buffer.from(Status.encode(toRpcStatus(bounded)).finish());
    if (bytes.length <= MAX_DETAILS_BYTES || kept === 0) return bytes;
  }
}

function pack(type: string, bytes: Uint8Array): Any {
  return Any.fromPartial({ typeUrl: TYPE_PREFIX + type, value: Buffer.from(bytes) });
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).toWellFormed()}…`;
}
