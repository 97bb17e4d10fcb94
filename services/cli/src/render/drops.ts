import type { DropCounter, InterfaceInput, InterfaceOutput } from '@mcfleet/proto/mcfleet/v1/relay';

/** Packets of all reasons. */
export function total(drops: readonly DropCounter[]): bigint {
  return drops.reduce((sum, { packets }) => sum + packets, 0n);
}

/** "tx_full 12, mtu 1"; empty if none was dropped. */
export function dropReasons(drops: readonly DropCounter[]): string {
  return drops
    .filter(({ packets }) => packets > 0n)
    .map(({ reason, packets }) => `${reason} ${packets}`)
    .join(', ');
}

/** Packets that an interface lost before any relay could be told. */
export function lostAt(input: InterfaceInput | undefined): bigint {
  return input === undefined ? 0n : input.kernelDrops + total(input.drops);
}

/** Packets that interfaces lost after they had taken them. */
export function lostAfter(outputs: readonly InterfaceOutput[]): bigint {
  return outputs.reduce((sum, { drops }) => sum + total(drops), 0n);
}
