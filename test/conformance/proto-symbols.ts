import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const directory = fileURLToPath(new URL('../../proto/mcfleet/v1', import.meta.url));

/** What the .proto files of mcfleet.v1 declare, read as text: full names. */
export interface ProtoSymbols {
  readonly services: readonly string[];
  /** "mcfleet.v1.RelayService.GetRelay". */
  readonly methods: readonly string[];
  /** Messages and enums. */
  readonly types: readonly string[];
}

/** Reads every declaration at the top level, and the methods of the services. */
export function readProtoSymbols(): ProtoSymbols {
  const services: string[] = [];
  const methods: string[] = [];
  const types: string[] = [];
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.proto'))) {
    let service = '';
    for (const line of readFileSync(`${directory}/${file}`, 'utf8').split('\n')) {
      const [, kind, name = ''] = /^\s*(message|enum|service|rpc) (\w+)/.exec(line) ?? [];
      if (kind === 'service') {
        service = `mcfleet.v1.${name}`;
        services.push(service);
      } else if (kind === 'rpc') methods.push(`${service}.${name}`);
      else if (kind !== undefined) types.push(`mcfleet.v1.${name}`);
    }
  }
  return { services, methods, types };
}
