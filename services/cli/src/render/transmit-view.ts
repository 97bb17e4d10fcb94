import { type OutputCounters, TransmitReason, TransmitWay } from '@mcfleet/proto/mcfleet/v1/relay';

const WAYS: Readonly<Record<TransmitWay, string>> = {
  [TransmitWay.GSO]: 'gso',
  [TransmitWay.SENDMMSG]: 'sendmmsg',
  [TransmitWay.IO_URING]: 'io_uring',
  [TransmitWay.UNSPECIFIED]: '',
  [TransmitWay.UNRECOGNIZED]: '',
};

/** In few words; `mcfleet describe host` has them all. */
const REASONS: Readonly<Record<TransmitReason, string>> = {
  [TransmitReason.REQUESTED]: 'asked for',
  [TransmitReason.DEVICE_SEGMENTS]: 'cut by the device',
  [TransmitReason.KERNEL_SEGMENTS]: 'cut by the kernel',
  [TransmitReason.KERNEL_TOO_OLD]: 'kernel too old for gso',
  [TransmitReason.IO_URING_FORBIDDEN]: 'io_uring is forbidden',
  [TransmitReason.IO_URING_TOO_OLD]: 'kernel too old for io_uring',
  [TransmitReason.IO_URING_FAILED]: 'io_uring failed',
  [TransmitReason.UNICAST]: 'io_uring is for groups',
  [TransmitReason.HOST_POLICY]: 'for rules of the host',
  [TransmitReason.HOST_POLICY_UNKNOWN]: 'rules of the host not known',
  [TransmitReason.ROUTE]: 'for its route',
  [TransmitReason.UNRESOLVED]: 'neighbour not resolved',
  [TransmitReason.QUEUE_DISCIPLINE]: 'for its queue discipline',
  [TransmitReason.UNSPECIFIED]: '',
  [TransmitReason.UNRECOGNIZED]: '',
};

/** "gso (cut by the device)"; "-" if it is not known, or the output has no interface. */
export function transmitText({ transmit, transmitReason }: OutputCounters): string {
  const way = WAYS[transmit] ?? '';
  const reason = REASONS[transmitReason] ?? '';
  if (way === '') return '-';
  return reason === '' ? way : `${way} (${reason})`;
}
