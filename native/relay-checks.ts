import type { ForwarderOptions, OutputProgram, RelayProgram } from './forwarder.ts';
import { TRANSMIT_REQUESTS } from './transmit.ts';

const maxUidBytes = 64;
const maxOutputs = 256;
const maxSources = 64;
const maxIfindex = 2 ** 31 - 1;

function fail(where: string, expected: string, got: unknown): never {
  throw new TypeError(`${where} must be ${expected}, got ${typeof got === 'string' ? `'${got}'` : String(got)}`);
}

function checkInteger(value: unknown, where: string, min: number, max: number): void {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    fail(where, `an integer from ${min} to ${max}`, value);
  }
}

function checkOptionalInteger(value: unknown, where: string, min: number, max: number): void {
  if (value === null) return;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    fail(where, `an integer from ${min} to ${max}, or null`, value);
  }
}

function checkText(value: unknown, where: string): void {
  if (typeof value !== 'string' || value === '') fail(where, 'a text that is not empty', value);
}

function checkArray(value: unknown, where: string, min: number, max: number): void {
  if (!Array.isArray(value)) fail(where, 'an array', value);
  if (value.length < min || value.length > max) fail(where, `an array of ${min} to ${max} items`, value.length);
}

function checkOutput(output: OutputProgram, where: string): void {
  checkText(output.key, `${where}.key`);
  checkInteger(output.ifindex, `${where}.ifindex`, 0, maxIfindex);
  checkText(output.address, `${where}.address`);
  checkOptionalInteger(output.port, `${where}.port`, 1, 65535);
  checkOptionalInteger(output.ttl, `${where}.ttl`, 1, 255);
  if (output.source !== null) checkText(output.source, `${where}.source`);
  checkOptionalInteger(output.dscp, `${where}.dscp`, 0, 63);
  checkOptionalInteger(output.sourcePort, `${where}.sourcePort`, 1, 65535);
  if (typeof output.dropOversize !== 'boolean') fail(`${where}.dropOversize`, 'true or false', output.dropOversize);
}

/**
 * Checks the shape of one relay: types and ranges, not whether its addresses and interfaces exist.
 *
 * @throws TypeError that names the field.
 */
export function checkRelayProgram(relay: RelayProgram): void {
  checkText(relay.uid, 'uid');
  if (Buffer.byteLength(relay.uid) > maxUidBytes) fail('uid', `at most ${maxUidBytes} bytes`, relay.uid);
  const where = `relay '${relay.uid}'`;
  checkInteger(relay.inputIfindex, `${where}: inputIfindex`, 0, maxIfindex);
  checkText(relay.group, `${where}: group`);
  checkOptionalInteger(relay.port, `${where}: port`, 1, 65535);
  checkOptionalInteger(relay.vlan, `${where}: vlan`, 1, 4094);
  checkArray(relay.sources, `${where}: sources`, 0, maxSources);
  for (const [i, source] of relay.sources.entries()) checkText(source, `${where}: sources[${i}]`);
  checkArray(relay.excludedSources, `${where}: excludedSources`, 0, relay.sources.length > 0 ? 0 : maxSources);
  for (const [i, source] of relay.excludedSources.entries()) checkText(source, `${where}: excludedSources[${i}]`);
  if (typeof relay.keepDuplicates !== 'boolean') {
    fail(`${where}: keepDuplicates`, 'true or false', relay.keepDuplicates);
  }
  checkOptionalInteger(relay.minTtl, `${where}: minTtl`, 2, 255);
  if (relay.rateLimit !== null) {
    const at = `${where}: rateLimit`;
    if (typeof relay.rateLimit !== 'object') fail(at, 'an object or null', relay.rateLimit);
    checkOptionalInteger(relay.rateLimit.packetsPerSecond, `${at}.packetsPerSecond`, 1, 10_000_000);
    checkOptionalInteger(relay.rateLimit.bitsPerSecond, `${at}.bitsPerSecond`, 1000, 1e12);
    checkOptionalInteger(relay.rateLimit.burstPackets, `${at}.burstPackets`, 1, 1_000_000);
  }
  checkArray(relay.outputs, `${where}: outputs`, 1, maxOutputs);
  const keys = new Set<string>();
  for (const [i, output] of relay.outputs.entries()) {
    checkOutput(output, `${where}: outputs[${i}]`);
    if (keys.has(output.key)) fail(`${where}: outputs[${i}].key`, 'unique within the relay', output.key);
    keys.add(output.key);
  }
}

/** @throws TypeError for options of a wrong type or range. */
export function checkForwarderOptions(options: Required<ForwarderOptions>): void {
  const { ringBytes, transmit, busyPollUs, workers, cpus, exclusiveInput } = options;
  checkInteger(ringBytes, 'ringBytes', 256 * 1024, 4 * 1024 ** 3);
  if (!TRANSMIT_REQUESTS.includes(transmit)) fail('transmit', `one of ${TRANSMIT_REQUESTS.join(', ')}`, transmit);
  checkInteger(busyPollUs, 'busyPollUs', 0, 1000);
  checkInteger(workers, 'workers', 1, 16);
  checkArray(cpus, 'cpus', 0, 16);
  if (cpus.length > 0 && cpus.length !== workers) fail('cpus', `empty or ${workers} CPUs, one for each worker`, cpus);
  for (const [i, cpu] of cpus.entries()) checkInteger(cpu, `cpus[${i}]`, 0, 8191);
  if (typeof exclusiveInput !== 'boolean') fail('exclusiveInput', 'true or false', exclusiveInput);
}
