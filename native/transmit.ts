/** What can be asked of ForwarderOptions.transmit. */
export const TRANSMIT_REQUESTS = ['auto', 'gso', 'sendmmsg', 'io_uring'] as const;

export type TransmitRequest = (typeof TRANSMIT_REQUESTS)[number];
