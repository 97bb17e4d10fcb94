import { type FieldViolation, FleetError } from '@mcfleet/common/error';
import { callUnary } from '@mcfleet/common/grpc/client';
import { fromRpcStatus } from '@mcfleet/common/status-details';
import { uuidv7 } from '@mcfleet/common/uuid';
import { ApplyRelaysRequest, type ApplyRelaysResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';
import type { Cli } from '../cli.ts';
import type { Connection } from '../client/connection.ts';
import { locateViolations } from '../document/controller-violations.ts';
import { type LoadedRelays, loadRelays } from '../document/load.ts';
import { compareViolations, formatViolation, type Violation } from '../document/position.ts';
import { CommandFailure, exitCodes, UsageError } from '../exit.ts';
import { failureExitCode, failureText } from '../render/failure.ts';
import { parseSelector } from '../text/selector.ts';

/** Violations shown, at most: nobody reads more before mending some. */
const maxShown = 100;

/** From this many objects on, a command tells how far it has come. */
export const manyObjects = 500;

/** Options that `apply` and `diff` share. */
export interface DocumentOptions {
  readonly filename?: readonly string[];
  readonly prune?: boolean;
  readonly selector?: string;
}

/**
 * Reads documents and applies them, or asks what that would change.
 * @throws CommandFailure after it has shown every violation at its place, those of the controller too
 */
export async function applyDocuments(
  cli: Cli,
  connect: () => Connection,
  options: DocumentOptions,
  validateOnly: boolean,
): Promise<ApplyRelaysResponse> {
  const pruned = pruneSelector(options);
  const loaded = loadRelays(fileNames(options));
  const objects = loaded.relays.length;
  if (objects >= manyObjects) cli.say(`read ${objects} relays; ${validateOnly ? 'comparing' : 'applying'} them`);
  const request = ApplyRelaysRequest.fromPartial({
    relays: loaded.relays.map(({ relay }) => relay),
    // With violations the controller is only asked for its own, so that all are shown at once.
    validateOnly: validateOnly || loaded.violations.length > 0,
    pruneSelector: pruned,
    requestId: validateOnly ? '' : uuidv7(),
  });
  const connection = connect();
  if (loaded.violations.length > 0) {
    const more = await askForMore(connection, request, loaded);
    show(cli, [...loaded.violations, ...more], loaded);
    throw new CommandFailure(`error: ${count(loaded.violations.length + more.length)}; nothing was changed`);
  }
  try {
    return await connection.call((call) => callUnary(connection.relays, 'applyRelays', request, call), objects);
  } catch (thrown) {
    throw await explain(cli, connection, request, FleetError.from(thrown), loaded);
  }
}

/** The files of -f; at least one. */
export function fileNames({ filename }: DocumentOptions): readonly string[] {
  if (filename === undefined) throw new UsageError('give the documents with -f FILE, -f DIR or -f -');
  if (filename.filter((name) => name === '-').length > 1)
    throw new UsageError('standard input (-f -) can be read only once');
  return filename;
}

function pruneSelector({ prune, selector }: DocumentOptions): Record<string, string> {
  if (prune === true && selector === undefined) {
    throw new UsageError(
      '--prune needs -l SELECTOR: only relays with these labels are deleted when no document names them',
    );
  }
  if (prune !== true && selector !== undefined) throw new UsageError('-l SELECTOR belongs to --prune here');
  return selector === undefined ? {} : parseSelector(selector);
}

/** What else the controller finds wrong with documents that have violations already; nothing if it cannot be asked. */
async function askForMore(
  connection: Connection,
  request: ApplyRelaysRequest,
  loaded: LoadedRelays,
): Promise<readonly Violation[]> {
  if (request.relays.length === 0) return [];
  try {
    await connection.call((call) => callUnary(connection.relays, 'applyRelays', request, call), request.relays.length);
    return [];
  } catch (thrown) {
    // Whatever else went wrong (no controller, say) is not the user's next step: the violations at hand are.
    const found = await allViolations(connection, request, FleetError.from(thrown));
    return locateViolations(found, loaded.relays).inDocuments;
  }
}

/**
 * What the controller finds wrong with a request. An error holds only as much as the trailer of a call; where it left something out,
 * the answer of an apply that takes each relay by itself tells all.
 */
async function allViolations(
  connection: Connection,
  request: ApplyRelaysRequest,
  error: FleetError,
): Promise<readonly FieldViolation[]> {
  if (error.metadata.violations_omitted === undefined) return error.violations;
  const eachByItself = { ...request, atomic: false, validateOnly: true, requestId: '' };
  const { results } = await connection.call(
    (call) => callUnary(connection.relays, 'applyRelays', eachByItself, call),
    request.relays.length,
  );
  return results.flatMap((result) => (result.error === undefined ? [] : fromRpcStatus(result.error).violations));
}

/** The error to end with, after the violations have been shown at their places. */
async function explain(
  cli: Cli,
  connection: Connection,
  request: ApplyRelaysRequest,
  error: FleetError,
  loaded: LoadedRelays,
): Promise<Error> {
  if (error.violations.length === 0) return error;
  const { code, reason } = error;
  const violations = await allViolations(connection, request, error);
  const { inDocuments, elsewhere } = locateViolations(violations, loaded.relays);
  show(cli, inDocuments, loaded);
  const message = inDocuments.length === 0 ? error.message : `${count(violations.length)}; nothing was changed`;
  return new CommandFailure(
    failureText(new FleetError({ code, reason, message, violations: elsewhere, cause: error })),
    failureExitCode(error),
  );
}

function show(cli: Cli, violations: readonly Violation[], { files }: LoadedRelays): void {
  const sorted = [...violations].sort((a, b) => compareViolations(a, b, files));
  for (const violation of sorted.slice(0, maxShown)) cli.say(formatViolation(violation));
  if (sorted.length > maxShown) cli.say(`and ${sorted.length - maxShown} more`);
}

function count(violations: number): string {
  return violations === 1 ? '1 violation' : `${violations} violations`;
}

/** Ends a command with 2 when `diff` found something. */
export const differencesFound = new CommandFailure('', exitCodes.usageOrDifferences);
