import { quote } from '@mcfleet/common/quote';
import { OversizePolicy, type RelayInput, type RelayOutput } from '@mcfleet/proto/mcfleet/v1/relay';
import { type IpAddress, isLoopback } from './address.ts';
import { validateDestination, validateInterface, validatePort, validateSource } from './fields.ts';
import type { Violations } from './violations.ts';

/** The most outputs of one relay. */
export const MAX_OUTPUTS = 256;

const OVERSIZE_POLICIES: readonly number[] = [OversizePolicy.UNSPECIFIED, OversizePolicy.FRAGMENT, OversizePolicy.DROP];

/** The input that outputs are checked against; `group` is undefined if it is not valid itself. */
export interface InputOfOutputs {
  readonly input: RelayInput | undefined;
  readonly group: IpAddress | undefined;
  readonly allowPtp: boolean;
}

/** All outputs of a relay. */
export function validateOutputs(
  outputs: readonly RelayOutput[],
  { input, group, allowPtp }: InputOfOutputs,
  path: string,
  violations: Violations,
): void {
  if (outputs.length === 0) violations.add(path, 'is empty: give at least one output');
  if (outputs.length > MAX_OUTPUTS) {
    violations.add(path, `has ${outputs.length} outputs; at most ${MAX_OUTPUTS} are allowed`);
    return;
  }
  const seen = new Map<string, number>();
  outputs.forEach((output, i) => {
    const at = `${path}[${i}]`;
    const address = validateOutput(output, { group, allowPtp }, at, violations);
    if (address === undefined) return;
    const port = output.port ?? input?.port;
    const target = describeTarget(output.interface, address, port);
    const first = seen.get(target);
    if (first === undefined) seen.set(target, i);
    else violations.add(at, `is the same as outputs[${first}]: ${target} would get every packet twice`);
    // Copies leave untagged.
    const takenIn = input?.vlan === undefined && (input?.port === undefined || port === input.port);
    if (output.interface === input?.interface && address.text === group?.text && takenIn) {
      violations.add(
        at,
        `is the input itself: copies to ${target} would be taken in again, without end; change interface, address or port`,
      );
    }
  });
}

function validateOutput(
  output: RelayOutput,
  { group, allowPtp }: Omit<InputOfOutputs, 'input'>,
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
  const address =
    output.address === ''
      ? group
      : validateDestination(
          output.address,
          `${path}.address`,
          { what: 'a multicast group or unicast address', allowPtp },
          violations,
        );
  if (output.address !== '' && address !== undefined && isLoopback(address) && output.interface !== 'lo') {
    violations.add(
      `${path}.address`,
      `${address.text} is a loopback address, which leaves by no interface but lo: give the address of a receiver, or make lo the interface`,
    );
  }
  if (address !== undefined && group !== undefined && address.family !== group.family) {
    violations.add(
      `${path}.address`,
      `${address.text} is IPv${address.family}, but the input is IPv${group.family}: relays do not translate between them`,
    );
  }
  if (!['', 'KEEP', 'INTERFACE'].includes(output.source)) {
    if (/^(keep|interface)$/i.test(output.source)) {
      violations.add(`${path}.source`, `${quote(output.source)} must be written ${output.source.toUpperCase()}`);
    } else {
      validateSource(output.source, `${path}.source`, group?.family, violations);
    }
  }
  return address;
}

/** "239.10.10.10:6001@eth1", as counters name an output; "*" is the arriving port. */
function describeTarget(name: string, address: IpAddress, port: number | undefined): string {
  const host = address.family === 6 ? `[${address.text}]` : address.text;
  return `${host}:${port ?? '*'}@${name}`;
}
