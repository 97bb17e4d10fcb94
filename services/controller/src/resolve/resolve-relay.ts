import { parseAddress } from '@mcfleet/common/address';
import { contentHash } from '@mcfleet/common/state-hash';
import { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { OversizePolicy, type Relay, RelayEngine, type RelaySpec } from '@mcfleet/proto/mcfleet/v1/relay';

/** A relay as hosts get it, and its identity in state hashes. */
export interface ResolvedAssignment {
  readonly uid: string;
  /** "relays/{relay}". */
  readonly name: string;
  readonly generation: bigint;
  readonly relay: ResolvedRelay;
  readonly contentHash: Buffer;
}

/** Relays are never changed in place, so each is resolved once. */
const resolved = new WeakMap<Relay, ResolvedAssignment>();

/** The assignment of a valid relay; the same object for the same relay. */
export function resolveRelay(relay: Relay): ResolvedAssignment {
  const known = resolved.get(relay);
  if (known !== undefined) return known;
  const body = resolveSpec(relay);
  const assignment = {
    uid: relay.uid,
    name: relay.name,
    generation: relay.generation,
    relay: body,
    contentHash: contentHash(ResolvedRelay.encode(body).finish()),
  };
  resolved.set(relay, assignment);
  return assignment;
}

/**
 * Fills in what does not depend on the host, and writes addresses in their one form, so that specs that mean the same have the
 * same bytes. The default of `source` depends on the engine that the host chooses and stays empty.
 */
function resolveSpec({ name, spec }: Relay): ResolvedRelay {
  if (spec?.input === undefined) throw new Error(`${name} was stored without an input`);
  const { input } = spec;
  const group = canonical(input.group);
  return {
    engine: engineOf(spec),
    input: {
      ...input,
      group,
      sources: input.sources.map(canonical).sort(),
      excludeSources: input.excludeSources.map(canonical).sort(),
    },
    outputs: spec.outputs.map((output) => ({
      ...output,
      address: output.address === '' ? group : canonical(output.address),
      source: canonical(output.source),
      oversize: output.oversize === OversizePolicy.UNSPECIFIED ? OversizePolicy.FRAGMENT : output.oversize,
    })),
    rateLimit: spec.rateLimit,
    loopProtection: spec.loopProtection,
  };
}

/** The engine that is asked for; never unspecified. */
export function engineOf(spec: RelaySpec): RelayEngine {
  return spec.engine === RelayEngine.UNSPECIFIED ? RelayEngine.AUTO : spec.engine;
}

function canonical(address: string): string {
  return parseAddress(address)?.text ?? address;
}
