/** What can be asked of ForwarderOptions.transmit. */
export const TRANSMIT_REQUESTS = ['auto', 'gso', 'sendmmsg', 'io_uring'] as const;

export type TransmitRequest = (typeof TRANSMIT_REQUESTS)[number];

/** How an output sends, and why that way: its name and the reason (transmit_code() in transmit.cc). */
export type TransmitCode =
  | 'gso_device'
  | 'gso_kernel'
  | 'gso_host_policy'
  | 'sendmmsg_requested'
  | 'sendmmsg_kernel_too_old'
  | 'sendmmsg_queue_discipline'
  | 'io_uring_requested'
  | 'sendmmsg_io_uring_forbidden'
  | 'sendmmsg_io_uring_too_old'
  | 'sendmmsg_io_uring_failed'
  | 'sendmmsg_unicast'
  | 'sendmmsg_host_policy'
  | 'sendmmsg_host_policy_unknown'
  | 'sendmmsg_route'
  | 'sendmmsg_unresolved';
