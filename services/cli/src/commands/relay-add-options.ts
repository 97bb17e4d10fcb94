import type { RelayOutput } from '@mcfleet/proto/mcfleet/v1/relay';
import { UsageError } from '../exit.ts';

/**
 * The outputs of "239.10.10.10:6001:eth1,[ff3e::1]:6001:eth1".
 * @throws UsageError
 */
export function parseOutputs(text: string): Pick<RelayOutput, 'address' | 'port' | 'interface'>[] {
  return text.split(',').map((part, index) => {
    const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+):([^:\s]+)$/.exec(part.trim());
    const where = `--outputs: output ${index + 1} ("${part.trim()}")`;
    if (match === null) {
      const ipv6 = /^[0-9a-f]*:[0-9a-f:]*:/i.test(part) && !part.includes('[');
      const hint = ipv6
        ? '; an IPv6 address stands in brackets: [ff3e::1]:6001:eth1'
        : ', as in 239.10.10.10:6001:eth1';
      throw new UsageError(`${where} is not GROUP:PORT:INTERFACE${hint}`);
    }
    const port = Number(match[3]);
    if (port < 1 || port > 65_535) throw new UsageError(`${where}: port ${match[3]} must be 1 to 65535`);
    return { address: match[1] ?? match[2] ?? '', port, interface: match[4] ?? '' };
  });
}

const options: readonly (readonly [field: RegExp, option: string])[] = [
  [/^relay_id$|^relay\.name$/, 'NAME'],
  [/^relay\.spec\.hosts\b/, '--host'],
  [/^relay\.spec\.engine$/, '--engine'],
  [/^relay\.spec\.input\.interface$/, '--input-interface'],
  [/^relay\.spec\.input\.group$/, '--input-group'],
  [/^relay\.spec\.input\.port$/, '--input-port'],
];

/** The option that a field of CreateRelayRequest came from: "--outputs, output 2". */
export function optionOfField(field: string): string {
  const output = /^relay\.spec\.outputs\[(\d+)\]/.exec(field);
  if (output !== null) return `--outputs, output ${Number(output[1]) + 1}`;
  return options.find(([pattern]) => pattern.test(field))?.[1] ?? field;
}
