import { status } from '@grpc/grpc-js';
import { type FieldViolation, FleetError } from '@mcfleet/common/error';
import { RELAY_ID_PATTERN } from '@mcfleet/common/names';
import type { RelayProgram } from '@mcfleet/native';
import type { ProgrammedOutput, ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { OversizePolicy, type RateLimit, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { type ClassifiedAddress, classifyAddress } from './address.ts';
import { kernelLimits } from './kernel/limits.ts';

/** Bytes of a uid; the native part keeps them in place. */
const MAX_UID_BYTES = 64;
const MAX_DIGEST_BYTES = 64;
const MAX_KEY_BYTES = 256;
/** Above what any relay was seen to need; each output costs a send per packet. */
const MAX_OUTPUTS = 256;
/** Interface indexes are int in the kernel. */
const MAX_IFINDEX = 2 ** 31 - 1;
const MAX_SOURCES = 1024;
const MAX_PACKETS_PER_SECOND = 10_000_000;
const MAX_BITS_PER_SECOND = 1_000_000_000_000;
const MAX_BURST_PACKETS = 1_000_000;

export interface ValidateOptions {
  /** Where the relay is in the request: "upserts[3]". */
  readonly path: string;
  /** Whether the native part forwards IPv6: not where the kernel has none. */
  readonly ipv6: boolean;
}

/**
 * Checks every field of a relay, before the native part sees any of it.
 *
 * @returns the program for the native part
 * @throws FleetError INVALID_ARGUMENT with all violations, or UNIMPLEMENTED (reason IPV6_NOT_SUPPORTED)
 */
export function validateRelay(relay: ProgrammedRelay, { path, ipv6 }: ValidateOptions): RelayProgram {
  const check = new Checker(path);
  check.bytes('uid', Buffer.byteLength(relay.uid), 1, MAX_UID_BYTES);
  const id = relay.name.replace(/^relays\//, '');
  if (!RELAY_ID_PATTERN.test(id)) check.fail('name', `'${relay.name.slice(0, 100)}' is not the name of a relay`);
  if (relay.generation < 1n) check.fail('generation', `is ${relay.generation}; generations start at 1`);
  check.bytes('digest', relay.digest.length, 0, MAX_DIGEST_BYTES);
  check.integer('input_ifindex', relay.inputIfindex, 0, MAX_IFINDEX);
  const group = check.address('group', relay.group);
  if (relay.port !== undefined) check.integer('port', relay.port, 1, 65_535);
  if (relay.vlan !== undefined) check.integer('vlan', relay.vlan, 1, 4094);
  checkSources(check, 'sources', relay.sources, group);
  checkSources(check, 'exclude_sources', relay.excludeSources, group);
  if (relay.sources.length > 0 && relay.excludeSources.length > 0) {
    check.fail('exclude_sources', 'is given together with sources; give one of them');
  }
  checkOutputs(check, relay, group);
  const minTtl = relay.loopProtection?.minTtl;
  if (minTtl !== undefined) check.integer('loop_protection.min_ttl', minTtl, 2, 255);
  if (relay.rateLimit !== undefined) checkRateLimit(check, relay.rateLimit);
  checkEngine(check, relay);
  const { violations } = check;
  if (violations.length > 0) {
    throw new FleetError({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_RELAY_PROGRAM',
      message: `${path}: ${violations.map(({ field, description }) => `${field} ${description}`).join('; ')}`,
      violations,
      metadata: { uid: relay.uid.slice(0, MAX_UID_BYTES) },
    });
  }
  if (group?.family === 6 && !ipv6) {
    const message = `${relay.name}: the kernel of this host has no IPv6, and ${relay.group} is IPv6`;
    throw new FleetError({ code: status.UNIMPLEMENTED, reason: 'IPV6_NOT_SUPPORTED', message });
  }
  return {
    uid: relay.uid,
    inputIfindex: relay.inputIfindex,
    group: relay.group,
    port: relay.port ?? null,
    vlan: relay.vlan ?? null,
    sources: relay.sources,
    excludedSources: relay.excludeSources,
    outputs: relay.outputs.map((output) => ({
      key: output.key,
      ifindex: output.ifindex,
      address: output.address,
      port: output.port ?? null,
      ttl: output.ttl ?? null,
      source: output.source === '' ? null : output.source,
      dscp: output.dscp ?? null,
      sourcePort: output.sourcePort ?? null,
      dropOversize: output.oversize === OversizePolicy.DROP,
    })),
    keepDuplicates: relay.loopProtection?.keepDuplicates ?? false,
    minTtl: relay.loopProtection?.minTtl ?? null,
    rateLimit: relay.rateLimit === undefined ? null : toRateLimit(relay.rateLimit),
  };
}

function checkEngine(check: Checker, relay: ProgrammedRelay): void {
  const { UNSPECIFIED, USERSPACE, KERNEL } = RelayEngine;
  if (relay.engine === KERNEL) for (const { field, description } of kernelLimits(relay)) check.fail(field, description);
  else if (relay.engine !== UNSPECIFIED && relay.engine !== USERSPACE) {
    check.fail('engine', `is ${relay.engine}; it is ${USERSPACE} (userspace) or ${KERNEL} (kernel)`);
  }
}

function checkSources(
  check: Checker,
  name: string,
  sources: readonly string[],
  group: ClassifiedAddress | undefined,
): void {
  if (sources.length > MAX_SOURCES) check.fail(name, `has ${sources.length} entries; at most ${MAX_SOURCES} are taken`);
  const seen = new Set<string>();
  for (const [index, source] of sources.entries()) {
    const field = `${name}[${index}]`;
    check.source(field, source, group);
    if (seen.has(source)) check.fail(field, `'${source}' is there twice`);
    seen.add(source);
  }
}

function checkRateLimit(check: Checker, { packetsPerSecond, bitsPerSecond, burstPackets }: RateLimit): void {
  if (packetsPerSecond === undefined && bitsPerSecond === undefined) {
    check.fail('rate_limit', 'limits nothing; it has packets_per_second, bits_per_second, or both');
  }
  if (packetsPerSecond !== undefined) {
    check.integer('rate_limit.packets_per_second', packetsPerSecond, 1, MAX_PACKETS_PER_SECOND);
  }
  if (bitsPerSecond !== undefined) {
    check.integer('rate_limit.bits_per_second', Number(bitsPerSecond), 1000, MAX_BITS_PER_SECOND);
  }
  if (burstPackets !== undefined) check.integer('rate_limit.burst_packets', burstPackets, 1, MAX_BURST_PACKETS);
}

function toRateLimit({ packetsPerSecond, bitsPerSecond, burstPackets }: RateLimit): RelayProgram['rateLimit'] {
  return {
    packetsPerSecond: packetsPerSecond ?? null,
    bitsPerSecond: bitsPerSecond === undefined ? null : Number(bitsPerSecond),
    burstPackets: burstPackets ?? null,
  };
}

function checkOutputs(check: Checker, relay: ProgrammedRelay, group: ClassifiedAddress | undefined): void {
  const { outputs } = relay;
  if (outputs.length === 0) check.fail('outputs', 'is empty; a relay has at least one output');
  if (outputs.length > MAX_OUTPUTS)
    check.fail('outputs', `has ${outputs.length} entries; at most ${MAX_OUTPUTS} are taken`);
  const keys = new Set<string>();
  for (const [index, output] of outputs.entries()) {
    const at = `outputs[${index}]`;
    check.bytes(`${at}.key`, Buffer.byteLength(output.key), 1, MAX_KEY_BYTES);
    if (keys.has(output.key)) check.fail(`${at}.key`, `'${output.key}' is there twice`);
    keys.add(output.key);
    check.integer(`${at}.ifindex`, output.ifindex, 0, MAX_IFINDEX);
    check.sameFamily(`${at}.address`, output.address, check.address(`${at}.address`, output.address), group);
    if (output.port !== undefined) check.integer(`${at}.port`, output.port, 1, 65_535);
    if (output.ttl !== undefined) check.integer(`${at}.ttl`, output.ttl, 1, 255);
    if (output.dscp !== undefined) check.integer(`${at}.dscp`, output.dscp, 0, 63);
    if (output.sourcePort !== undefined) check.integer(`${at}.source_port`, output.sourcePort, 1, 65_535);
    check.integer(`${at}.oversize`, output.oversize, OversizePolicy.UNSPECIFIED, OversizePolicy.DROP);
    if (output.source !== '') check.source(`${at}.source`, output.source, group);
    if (returnsToInput(relay, output)) check.fail(at, 'sends what it receives to where it receives it: a loop');
  }
}

function returnsToInput(relay: ProgrammedRelay, output: ProgrammedOutput): boolean {
  if (output.ifindex === 0) return false;
  const samePort = output.port === undefined || relay.port === undefined || output.port === relay.port;
  // Copies leave untagged.
  if (relay.vlan !== undefined) return false;
  return output.ifindex === relay.inputIfindex && output.address === relay.group && samePort;
}

/** Collects what is wrong with one relay. */
class Checker {
  readonly violations: FieldViolation[] = [];
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  fail(field: string, description: string): void {
    this.violations.push({ field: `${this.#path}.${field}`, description });
  }

  integer(field: string, value: number, min: number, max: number): void {
    if (!Number.isInteger(value) || value < min || value > max)
      this.fail(field, `is ${value}; it is from ${min} to ${max}`);
  }

  bytes(field: string, length: number, min: number, max: number): void {
    if (length < min || length > max) this.fail(field, `has ${length} bytes; it has ${min} to ${max}`);
  }

  address(field: string, text: string): ClassifiedAddress | undefined {
    const result = classifyAddress(text);
    if (typeof result !== 'string') return result;
    this.fail(field, result);
    return undefined;
  }

  /** A source is one host's address. */
  source(field: string, text: string, group: ClassifiedAddress | undefined): void {
    const address = this.address(field, text);
    if (address?.kind === 'multicast') this.fail(field, `'${text}' is multicast; a source is one host`);
    else this.sameFamily(field, text, address, group);
  }

  sameFamily(
    field: string,
    text: string,
    address: ClassifiedAddress | undefined,
    group: ClassifiedAddress | undefined,
  ): void {
    if (address !== undefined && group !== undefined && address.family !== group.family) {
      this.fail(field, `'${text}' is IPv${address.family}, but the group is IPv${group.family}`);
    }
  }
}
