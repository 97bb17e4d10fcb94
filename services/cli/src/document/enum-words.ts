import { OversizePolicy, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';

/** Engines by the words of documents and tables. */
export const engines = {
  AUTO: RelayEngine.AUTO,
  USERSPACE: RelayEngine.USERSPACE,
  KERNEL: RelayEngine.KERNEL,
} as const;

/** The word for an engine: "AUTO". Unspecified counts as AUTO, as it does for the controller. */
export function engineName(engine: RelayEngine): keyof typeof engines {
  if (engine === RelayEngine.USERSPACE) return 'USERSPACE';
  return engine === RelayEngine.KERNEL ? 'KERNEL' : 'AUTO';
}

/** The engine of a word. */
export function engineFromName(name: keyof typeof engines): RelayEngine {
  return engines[name];
}

/** Policies by the words of documents. */
export const oversizePolicies = { FRAGMENT: OversizePolicy.FRAGMENT, DROP: OversizePolicy.DROP } as const;

/** The word for a policy: "DROP"; undefined if none was given. */
export function oversizeName(policy: OversizePolicy): keyof typeof oversizePolicies | undefined {
  if (policy === OversizePolicy.FRAGMENT) return 'FRAGMENT';
  return policy === OversizePolicy.DROP ? 'DROP' : undefined;
}
