import { Host, HostStatus } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay, RelayInstance, RelayStatus } from '@mcfleet/proto/mcfleet/v1/relay';
import { stringify } from 'yaml';
import { bare } from '../render/names.ts';
import { engineName, oversizeName } from './enum-words.ts';
import { apiVersion, relayKind } from './relay-document.ts';

/** Leaves out what is not set, so that a document shows what was said and no more. */
function given<T extends Record<string, unknown>>(fields: T): Partial<T> {
  const entries = Object.entries(fields).filter(([, value]) => {
    if (value === undefined || value === '') return false;
    if (Array.isArray(value)) return value.length > 0;
    return typeof value !== 'object' || value === null || Object.keys(value).length > 0;
  });
  return Object.fromEntries(entries) as Partial<T>;
}

/** One YAML document; strings that would read as numbers are quoted, long ones are not folded. */
export function toYaml(value: unknown): string {
  return stringify(value, { version: '1.2', schema: 'core', lineWidth: 0, aliasDuplicateObjects: false });
}

/** A relay as a document that `apply` takes back. What only the controller writes is below `status`, which `apply` ignores. */
export function relayToDocument(relay: Relay, toJson: (type: string, message: unknown) => unknown): unknown {
  const { spec } = relay;
  const { name, displayName, labels, annotations, spec: _spec, status: _status, ...outputOnly } = relay;
  const status = {
    ...(toJson(Relay.$type, Relay.fromPartial(outputOnly)) as object),
    ...(toJson(RelayStatus.$type, relay.status ?? RelayStatus.fromPartial({})) as object),
  };
  return {
    apiVersion,
    kind: relayKind,
    metadata: given({ name: bare(name), displayName, labels, annotations }),
    spec: {
      hosts: given({ names: spec?.hosts?.names, matchLabels: spec?.hosts?.matchLabels }),
      engine: engineName(spec?.engine ?? 0),
      input: given({ ...spec?.input }),
      outputs: (spec?.outputs ?? []).map((output) => given({ ...output, oversize: oversizeName(output.oversize) })),
      ...(spec?.rateLimit === undefined ? {} : { rateLimit: given({ ...spec.rateLimit }) }),
      ...(spec?.loopProtection === undefined ? {} : { loopProtection: given({ ...spec.loopProtection }) }),
      ...(spec?.allowPtp === true ? { allowPtp: true } : {}),
    },
    ...given({ status }),
  };
}

/** A host in the same form, for reading; its labels are changed by other commands. */
export function hostToDocument(host: Host, toJson: (type: string, message: unknown) => unknown): unknown {
  const { name, displayName, labels, annotations, status: _status, ...outputOnly } = host;
  return {
    apiVersion,
    kind: 'Host',
    metadata: given({ name: bare(name), displayName, labels, annotations }),
    status: {
      ...(toJson(Host.$type, Host.fromPartial(outputOnly)) as object),
      ...(toJson(HostStatus.$type, host.status ?? HostStatus.fromPartial({})) as object),
    },
  };
}

/** What one host makes of one relay, in the same form, for reading. */
export function instanceToDocument(
  instance: RelayInstance,
  toJson: (type: string, message: unknown) => unknown,
): unknown {
  return {
    apiVersion,
    kind: 'RelayInstance',
    metadata: { name: `${bare(instance.host)}/${bare(instance.relay)}` },
    status: toJson(RelayInstance.$type, instance),
  };
}
