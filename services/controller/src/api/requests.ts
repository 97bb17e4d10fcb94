import { type FieldViolation, FleetError } from '@mcfleet/common/error';
import { parseHostName, parseRelayName } from '@mcfleet/common/names';
import { quote } from '@mcfleet/common/quote';
import { isUuid } from '@mcfleet/common/uuid';
import { refusal } from '../errors.ts';
import { validateLabels } from '../validate/metadata.ts';
import { Violations } from '../validate/violations.ts';

/** The error for a request whose resource is not valid. */
export function invalidSpec(what: string, violations: readonly FieldViolation[]): FleetError {
  return refusal('INVALID_SPEC', `${what} is not valid: ${summarize(violations)}`, { violations });
}

/** The error for a request whose other fields are not valid. */
export function invalidRequest(violations: readonly FieldViolation[]): FleetError {
  return refusal('INVALID_REQUEST', `the request is not valid: ${summarize(violations)}`, { violations });
}

/** @throws FleetError INVALID_REQUEST if there are violations */
export function assertValid(violations: Violations): void {
  if (violations.all.length > 0) throw invalidRequest(violations.all);
}

/** The key of "relays/{key}" or "{key}". @throws FleetError INVALID_REQUEST */
export function relayKey(name: string, field: string): string {
  return parseName(name, field, parseRelayName);
}

/** The key of "hosts/{key}" or "{key}". @throws FleetError INVALID_REQUEST */
export function hostKey(name: string, field: string): string {
  return parseName(name, field, parseHostName);
}

/** @throws FleetError INVALID_REQUEST if a selector could match nothing because it is not valid */
export function validateSelector(selector: Readonly<Record<string, string>>, field: string): void {
  const violations = new Violations();
  validateLabels(selector, field, violations);
  assertValid(violations);
}

/** @throws FleetError INVALID_REQUEST */
export function validateRequestId(id: string): void {
  if (id === '' || isUuid(id)) return;
  throw invalidRequest([{ field: 'request_id', description: `${quote(id)} is not a UUID` }]);
}

function parseName(name: string, field: string, parse: (name: string) => string): string {
  if (name === '') throw invalidRequest([{ field, description: 'is missing' }]);
  try {
    return parse(name);
  } catch (thrown) {
    throw invalidRequest([{ field, description: FleetError.from(thrown).message }]);
  }
}

/** The first violation, and how many more there are: for those who see only the message. */
function summarize([first, ...rest]: readonly FieldViolation[]): string {
  const more = rest.length > 0 ? ` (and ${rest.length} more)` : '';
  return `${first?.field}: ${first?.description}${more}`;
}
