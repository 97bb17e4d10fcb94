import { type IpAddress, isLoopback } from '@mcfleet/common/address';
import { quote } from '@mcfleet/common/quote';
import { OversizePolicy, type RelayInput, type RelayOutput } from '@mcfleet/proto/mcfleet/v1/relay';
import { validateDestination, validateInterface, validatePort, validateSource } from './fields.ts';
import type { Violations } from './violations.ts';

/** The most outputs of one relay. */
export const MAX_OUTPUTS = 256;

const OVERSIZE_POLICIES: readonly number[] = [OversizePolicy.UNSPECIFIED, OversizePolicy.FRAGMENT, OversizePolicy.DROP];

/** What each output is checked against. */
interface OutputContext {
  /** Of the input; undefined if it is no address. */
  readonly group: IpAddress | undefined;
  readonly allowPtp: boolean;
}

/** What all outputs together are checked against. */
export interface InputOfOutputs extends OutputContext {
  readonly input: RelayInput | undefined;
  /** Where the request has it. */
  readonly inputPath: string;
}

/** All outputs of a relay. */
export function validateOutputs(
  outputs: readonly RelayOutput[],
  { input, inputPath, group, allowPtp }: InputOfOutputs,
  path: string,
  violations: Violations,
): void {
  if (outputs.length === 0) violations.add(path, 'is empty: give at least one output');
  if (outputs.length > MAX_OUTPUTS) {
    violations.add(path, `has ${outputs.length} outputs; at most ${MAX_OUTPUTS} are allowed`);
  }
  const seen = new Map<string, number>();
  outputs.slice(0, MAX_OUTPUTS).forEach((output, i) => {
    const at = `${path}[${i}]`;
    const address = validateOutput(output, { group, allowPtp }, at, violations);
    // Where a field is wrong, what all of them together mean cannot be told.
    if (['interface', 'address', 'port'].some((field) => violations.has(`${at}.${field}`))) return;
    const port = output.port ?? input?.port;
    const target = describeTarget(output.interface, address, port);
    const first = seen.get(target);
    if (first === undefined) seen.set(target, i);
    else violations.add(at, `is the same as outputs[${first}]: ${target} would get every packet twice`);
    if (input === undefined || violations.has(`${inputPath}.port`) || address === undefined) return;
    // Copies leave untagged.
    const takenIn = input.vlan === undefined && (input.port === undefined || port === input.port);
    if (output.interface === input.interface && address.text === group?.text && takenIn) {
      violations.add(
        at,
        `is the input itself: copies to ${target} would be taken in again, without end; change interface, address or port`,
      );
    }
  });
}

function validateOutput(
  output: RelayOutput,
  { group, allowPtp }: OutputContext,
  path: string,
  violations: Violations,
): IpAddress | undefined {
  validateInterface(output.interface, `${path}.interface`, violations);
  validatePort(output.port, `${path}.port`, violations);
  if (output.ttl !== undefined && (output.ttl < 1 || output.ttl > 255)) {
    violations.add(`${path}.ttl`, `${output.ttl} is not a TTL: it must be 1 to 255`);
  }
  if (output.dscp !== undefined && output.dscp > 63) {
    violations.add(`${path}.dscp`, `${output.dscp} is not a DSCP: it must be 0 to 63, for example 46 for EF`);
  }
  validatePort(output.sourcePort, `${path}.source_port`, violations);
  if (!OVERSIZE_POLICIES.includes(output.oversize)) {
    violations.add(`${path}.oversize`, `${output.oversize} is not a policy: FRAGMENT and DROP are`);
  }
  const address = output.address === '' ? group : validateAddress(output, { group, allowPtp }, path, violations);
  if (!['', 'KEEP', 'INTERFACE'].includes(output.source)) {
    if (/^(keep|interface)$/i.test(output.source)) {
      violations.add(`${path}.source`, `${quote(output.source)} must be written ${output.source.toUpperCase()}`);
    } else {
      validateSource(output.source, `${path}.source`, group?.family, violations);
    }
  }
  return address;
}

/** The address of an output that has one of its own. */
function validateAddress(
  output: RelayOutput,
  { group, allowPtp }: OutputContext,
  path: string,
  violations: Violations,
): IpAddress | undefined {
  const at = `${path}.address`;
  const what = 'a multicast group or unicast address';
  const address = validateDestination(output.address, at, { what, allowPtp }, violations);
  if (address === undefined || violations.has(at)) return address;
  if (isLoopback(address) && output.interface !== 'lo' && !violations.has(`${path}.interface`)) {
    violations.add(
      at,
      `${address.text} is a loopback address, which leaves by no interface but lo: give the address of a receiver, or make lo the interface`,
    );
  } else if (group !== undefined && address.family !== group.family) {
    violations.add(
      at,
      `${address.text} is IPv${address.family}, but the input is IPv${group.family}: relays do not translate between them`,
    );
  }
  return address;
}

/** "239.10.10.10:6001@eth1", as counters name an output; "*" is the arriving port or address. */
function describeTarget(name: string, address: IpAddress | undefined, port: number | undefined): string {
  const host = address?.family === 6 ? `[${address.text}]` : (address?.text ?? '*');
  return `${host}:${port ?? '*'}@${name}`;
}
