/** What can be asked of ForwarderOptions.transmit. */
export const TRANSMIT_REQUESTS = ['auto', 'gso', 'sendmmsg'] as const;

export type TransmitRequest = (typeof TRANSMIT_REQUESTS)[number];
