import { parseAddress } from '@mcfleet/common/address';
import type { IpFamily, MulticastRoute, MulticastRouteKey, RelayProgram } from '@mcfleet/native';

/** A relay as the kernel engine forwards it. */
export interface KernelRelay {
  readonly uid: string;
  /** For messages: "relays/camera-7". */
  readonly name: string;
  readonly family: IpFamily;
  /** One for each source, or one for any. None while its input or all of its outputs are missing. */
  readonly routes: readonly MulticastRoute[];
  readonly outputs: readonly { readonly key: string; readonly ifindex: number }[];
}

/** A packet leaves if it arrived with more: with TTL 1 it could not be lowered. */
const THRESHOLD = 1;

/** The routes of a relay that is within the limits of the kernel engine. */
export function toKernelRelay(name: string, { uid, group, inputIfindex, sources, outputs }: RelayProgram): KernelRelay {
  const family = parseAddress(group)?.family ?? 4;
  const to = outputs.filter(({ ifindex }) => ifindex !== 0).map(({ ifindex }) => ({ ifindex, threshold: THRESHOLD }));
  const from = sources.length === 0 ? [null] : sources.map(canonical);
  const routes = from.map((source) => ({ source, group: canonical(group), input: inputIfindex, outputs: to }));
  return {
    uid,
    name,
    family,
    routes: inputIfindex === 0 || to.length === 0 ? [] : routes,
    outputs: outputs.map(({ key, ifindex }) => ({ key, ifindex })),
  };
}

/** What names a route in its table, as text. */
export function routeKey({ source, group, input }: MulticastRouteKey): string {
  return source === null ? `* ${group} ${input}` : `${source} ${group}`;
}

/** Whether the kernel has a route as it shall be. A route of any source lists its input among the outputs: the kernel wants it so. */
export function isAsWanted(wanted: MulticastRoute, found: MulticastRoute | undefined): boolean {
  if (found === undefined || found.input !== wanted.input) return false;
  const outputs = found.outputs.filter(({ ifindex }) => ifindex !== found.input);
  return (
    outputs.length === wanted.outputs.length &&
    wanted.outputs.every(({ ifindex, threshold }) =>
      outputs.some((output) => output.ifindex === ifindex && output.threshold === threshold),
    )
  );
}

/** As the kernel's addresses are written. */
function canonical(address: string): string {
  return parseAddress(address)?.text ?? address;
}
