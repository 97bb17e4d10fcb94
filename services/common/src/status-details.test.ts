import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FleetError } from './error.ts';
import { fromRpcStatus, fromServiceError, toRpcStatus, toServiceError } from './status-details.ts';

const errors = fc
  .record({
    code: fc.integer({ min: 1, max: 16 }),
    reason: fc.stringMatching(/^[A-Z][A-Z0-9_]{0,30}$/),
    message: fc.string({ maxLength: 100 }),
    // Keys begin with a letter (google/rpc/error_details.proto, ErrorInfo.metadata); "__proto__" is none.
    metadata: fc.dictionary(fc.stringMatching(/^[a-z][a-z_]{0,9}$/), fc.string({ maxLength: 20 }), { maxKeys: 5 }),
    violations: fc.array(
      fc.record({ field: fc.string({ maxLength: 20 }), description: fc.string({ maxLength: 20 }) }),
      {
        maxLength: 10,
      },
    ),
    retryDelayMs: fc.option(fc.nat(), { nil: undefined }),
  })
  .map((options) => new FleetError(options));

function facts(error: FleetError): object {
  const { code, reason, message, metadata, violations, retryDelayMs } = error;
  return { code, reason, message, metadata: { ...metadata }, violations, retryDelayMs };
}

test('an error survives the way through google.rpc.Status', () => {
  fc.assert(
    fc.property(errors, (error) => {
      expect(facts(fromRpcStatus(toRpcStatus(error)))).toEqual(facts(error));
    }),
  );
});

test('an error survives the way through a trailer', () => {
  fc.assert(
    fc.property(errors, (error) => {
      expect(facts(fromServiceError(toServiceError(error)))).toEqual(facts(error));
    }),
  );
});

test('more violations than a trailer holds are cut, and the number of the rest is told', () => {
  const violations = Array.from({ length: 5000 }, (_, i) => ({
    field: `spec.outputs[${i}].port`,
    description: 'is 0',
  }));
  const error = new FleetError({ code: status.INVALID_ARGUMENT, reason: 'INVALID_SPEC', message: 'm', violations });
  const sent = toServiceError(error);
  const [trailer] = sent.metadata.get('grpc-status-details-bin');
  expect(trailer?.length).toBeLessThan(6000);
  const got = fromServiceError(sent);
  expect(got.violations.length).toBeGreaterThan(20);
  expect(got.violations.length + Number(got.metadata.violations_omitted)).toBe(5000);
});

test('a message with a lone surrogate can be sent', () => {
  const error = new FleetError({ code: status.INTERNAL, reason: 'INTERNAL', message: 'a\ud800b' });
  expect(() => encodeURI(toServiceError(error).details)).not.toThrow();
});

test('an error of a server that sends no details is named after its code', () => {
  const sent = toServiceError(new FleetError({ code: status.UNAVAILABLE, reason: 'X', message: 'connection refused' }));
  sent.metadata.remove('grpc-status-details-bin');
  const got = fromServiceError(sent);
  expect(facts(got)).toMatchObject({ code: status.UNAVAILABLE, reason: 'UNAVAILABLE', message: 'connection refused' });
});

test('FleetError.from keeps a FleetError and wraps the rest', () => {
  const error = new FleetError({ code: status.ABORTED, reason: 'ETAG_MISMATCH', message: 'm' });
  expect(FleetError.from(error)).toBe(error);
  const cause = new TypeError('x is not a function');
  expect(FleetError.from(cause)).toMatchObject({ code: status.INTERNAL, reason: 'INTERNAL', cause });
  expect(FleetError.from(AbortSignal.abort().reason)).toMatchObject({ code: status.CANCELLED });
  const timeout = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
  expect(FleetError.from(timeout)).toMatchObject({ code: status.DEADLINE_EXCEEDED, reason: 'DEADLINE_EXCEEDED' });
  expect(FleetError.from('text').message).toBe('text');
});
