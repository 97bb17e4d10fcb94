import type { TransmitCode } from '@mcfleet/native';
import { type OutputCounters, TransmitReason, TransmitWay } from '@mcfleet/proto/mcfleet/v1/relay';

type Told = Pick<OutputCounters, 'transmit' | 'transmitReason'>;

const { GSO, SENDMMSG, IO_URING } = TransmitWay;

const TOLD: Readonly<Record<TransmitCode, Told>> = {
  gso_device: { transmit: GSO, transmitReason: TransmitReason.DEVICE_SEGMENTS },
  gso_kernel: { transmit: GSO, transmitReason: TransmitReason.KERNEL_SEGMENTS },
  gso_host_policy: { transmit: GSO, transmitReason: TransmitReason.HOST_POLICY },
  io_uring_requested: { transmit: IO_URING, transmitReason: TransmitReason.REQUESTED },
  sendmmsg_requested: { transmit: SENDMMSG, transmitReason: TransmitReason.REQUESTED },
  sendmmsg_kernel_too_old: { transmit: SENDMMSG, transmitReason: TransmitReason.KERNEL_TOO_OLD },
  sendmmsg_queue_discipline: { transmit: SENDMMSG, transmitReason: TransmitReason.QUEUE_DISCIPLINE },
  sendmmsg_io_uring_forbidden: { transmit: SENDMMSG, transmitReason: TransmitReason.IO_URING_FORBIDDEN },
  sendmmsg_io_uring_too_old: { transmit: SENDMMSG, transmitReason: TransmitReason.IO_URING_TOO_OLD },
  sendmmsg_io_uring_failed: { transmit: SENDMMSG, transmitReason: TransmitReason.IO_URING_FAILED },
  sendmmsg_unicast: { transmit: SENDMMSG, transmitReason: TransmitReason.UNICAST },
  sendmmsg_host_policy: { transmit: SENDMMSG, transmitReason: TransmitReason.HOST_POLICY },
  sendmmsg_host_policy_unknown: { transmit: SENDMMSG, transmitReason: TransmitReason.HOST_POLICY_UNKNOWN },
  sendmmsg_route: { transmit: SENDMMSG, transmitReason: TransmitReason.ROUTE },
  sendmmsg_unresolved: { transmit: SENDMMSG, transmitReason: TransmitReason.UNRESOLVED },
};

const NOT_AT_ALL: Told = { transmit: TransmitWay.UNSPECIFIED, transmitReason: TransmitReason.UNSPECIFIED };

/** How an output sends, as it is told. */
export function toTransmit(code: TransmitCode | null): Told {
  return code === null ? NOT_AT_ALL : TOLD[code];
}

/** The reason of the condition TransmitUnavailable. */
export function shortfallReason(code: TransmitCode): string {
  switch (TOLD[code].transmitReason) {
    case TransmitReason.IO_URING_FORBIDDEN:
      return 'IoUringForbidden';
    case TransmitReason.IO_URING_TOO_OLD:
      return 'IoUringTooOld';
    case TransmitReason.KERNEL_TOO_OLD:
      return 'GsoTooOld';
    default:
      return 'IoUringFailed';
  }
}
