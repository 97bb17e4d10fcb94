/**
 * Bytes of the largest message of the admin API, both ways: what 10,000 relays of an apply come to, with room. gRPC's default, 4 MiB,
 * would be too little for the answer.
 */
export const MAX_ADMIN_MESSAGE_BYTES = 32 * 1024 * 1024;
