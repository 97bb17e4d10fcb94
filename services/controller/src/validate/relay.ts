import { type IpAddress, isLoopback } from '@mcfleet/common/address';
import type { FieldViolation } from '@mcfleet/common/error';
import { HOST_ID_PATTERN, RELAY_ID_PATTERN } from '@mcfleet/common/names';
import { quote } from '@mcfleet/common/quote';
import {
  type HostSelector,
  type Relay,
  RelayEngine,
  type RelayInput,
  type RelaySpec,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { validateDestination, validateInterface, validatePort, validateSource } from './fields.ts';
import { validateKernelEngine } from './kernel-engine.ts';
import { validateAnnotations, validateDisplayName, validateLabels } from './metadata.ts';
import { validateOutputs } from './outputs.ts';
import { validateRateLimit } from './rate-limit.ts';
import { Violations } from './violations.ts';

/** The most host names of one selector. */
export const MAX_HOST_NAMES = 1000;
/** The most source addresses of one input, taken or excluded. */
export const MAX_SOURCES = 64;

const ENGINES: readonly number[] = [
  RelayEngine.UNSPECIFIED,
  RelayEngine.AUTO,
  RelayEngine.USERSPACE,
  RelayEngine.KERNEL,
];

/** What a relay is checked against. */
export interface RelayValidationContext {
  /** Path of the relay in the request: "relay" or "relays[3]". */
  readonly path: string;
  /** The {relay} part of the name that it has or gets. */
  readonly id: string;
  /** Path of the field that gave the name: "relay.name" or "relay_id". */
  readonly idPath: string;
  /** Whether the controller knows a host of this name. */
  hostExists(host: string): boolean;
}

/** Everything that is wrong with a relay; empty if it is valid. */
export function validateRelay(relay: Relay, context: RelayValidationContext): readonly FieldViolation[] {
  const violations = new Violations();
  const { path, id, idPath } = context;
  if (id === '') violations.add(idPath, 'is missing: give the relay a name, for example "camera-7"');
  else if (!RELAY_ID_PATTERN.test(id)) {
    violations.add(
      idPath,
      `${quote(id)} is not the name of a relay: 1 to 63 lower-case letters, digits and "-", a letter first, no "-" last`,
    );
  }
  validateDisplayName(relay.displayName, `${path}.display_name`, violations);
  validateLabels(relay.labels, `${path}.labels`, violations);
  validateAnnotations(relay.annotations, `${path}.annotations`, violations);
  if (relay.spec === undefined)
    violations.add(`${path}.spec`, 'is missing: say what shall be relayed, and on which hosts');
  else validateSpec(relay.spec, `${path}.spec`, context, violations);
  return violations.all;
}

function validateSpec(spec: RelaySpec, path: string, context: RelayValidationContext, violations: Violations): void {
  validateHosts(spec.hosts, `${path}.hosts`, context, violations);
  if (!ENGINES.includes(spec.engine)) {
    violations.add(`${path}.engine`, `${spec.engine} is not an engine: AUTO, USERSPACE and KERNEL are`);
  }
  const { allowPtp } = spec;
  const group = validateInput(spec.input, allowPtp, `${path}.input`, violations);
  const input = { input: spec.input, inputPath: `${path}.input`, group, allowPtp };
  validateOutputs(spec.outputs, input, `${path}.outputs`, violations);
  if (spec.rateLimit !== undefined) validateRateLimit(spec.rateLimit, `${path}.rate_limit`, violations);
  const minTtl = spec.loopProtection?.minTtl;
  if (minTtl !== undefined && (minTtl < 2 || minTtl > 255)) {
    violations.add(
      `${path}.loop_protection.min_ttl`,
      `${minTtl} is not a lowest TTL: it must be 2 to 255; omit it to take every TTL`,
    );
  }
  if (spec.engine === RelayEngine.KERNEL) validateKernelEngine(spec, group, path, violations);
}

function validateHosts(
  hosts: HostSelector | undefined,
  path: string,
  context: RelayValidationContext,
  violations: Violations,
): void {
  const names = hosts?.names ?? [];
  const labels = hosts?.matchLabels ?? {};
  if (names.length === 0 && Object.keys(labels).length === 0) {
    violations.add(path, 'selects no host: give names, match_labels, or both');
  }
  if (names.length > MAX_HOST_NAMES) {
    violations.add(
      `${path}.names`,
      `has ${names.length} names; at most ${MAX_HOST_NAMES} are allowed, use match_labels`,
    );
  }
  const seen = new Set<string>();
  names.slice(0, MAX_HOST_NAMES).forEach((name, i) => {
    const at = `${path}.names[${i}]`;
    if (!HOST_ID_PATTERN.test(name)) {
      const hint = name.startsWith('hosts/') ? 'write it without "hosts/"' : 'lower-case letters, digits, "-" and "."';
      violations.add(at, `${quote(name)} is not the name of a host: ${hint}`);
    } else if (seen.has(name)) {
      violations.add(at, `names host ${quote(name)} again`);
    } else if (!context.hostExists(name)) {
      violations.add(
        at,
        `host ${quote(name)} is not known: start its agent first, or register it with UpdateHost and allow_missing`,
      );
    }
    seen.add(name);
  });
  validateLabels(labels, `${path}.match_labels`, violations);
}

function validateInput(
  input: RelayInput | undefined,
  allowPtp: boolean,
  path: string,
  violations: Violations,
): IpAddress | undefined {
  if (input === undefined) {
    violations.add(path, 'is missing: give the interface and the group that packets are taken from');
    return undefined;
  }
  validateInterface(input.interface, `${path}.interface`, violations);
  validatePort(input.port, `${path}.port`, violations);
  if (input.vlan !== undefined && (input.vlan < 1 || input.vlan > 4094)) {
    violations.add(`${path}.vlan`, `${input.vlan} is not a VLAN: it must be 1 to 4094; omit it for untagged packets`);
  }
  let group: IpAddress | undefined;
  if (input.group === '')
    violations.add(`${path}.group`, 'is missing: give a multicast group, for example "239.1.1.1"');
  else {
    const what = 'a multicast group or local unicast address';
    group = validateDestination(input.group, `${path}.group`, { what, allowPtp }, violations);
    if (group !== undefined && isLoopback(group) && !violations.has(`${path}.group`)) {
      violations.add(
        `${path}.group`,
        `${group.text} is a loopback address, which arrives on no network: give a multicast group, or an address of the host`,
      );
    }
  }
  validateSources(input.sources, `${path}.sources`, group, violations);
  validateSources(input.excludeSources, `${path}.exclude_sources`, group, violations);
  if (input.sources.length > 0 && input.excludeSources.length > 0) {
    violations.add(
      `${path}.exclude_sources`,
      'cannot be given together with sources, which already excludes all others: omit one of them',
    );
  }
  return group;
}

function validateSources(
  sources: readonly string[],
  path: string,
  group: IpAddress | undefined,
  violations: Violations,
): void {
  if (sources.length > MAX_SOURCES) {
    violations.add(path, `has ${sources.length} sources; at most ${MAX_SOURCES} are allowed`);
  }
  const seen = new Set<string>();
  sources.slice(0, MAX_SOURCES).forEach((text, i) => {
    const at = `${path}[${i}]`;
    const source = validateSource(text, at, group?.family, violations);
    if (source === undefined) return;
    if (seen.has(source.text)) violations.add(at, `names source ${source.text} again`);
    seen.add(source.text);
  });
}
