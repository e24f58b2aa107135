/** What things weigh in the memory budget, where two stages that do not know each other must agree. */

/** A flow: its row, its part of the index, and what the reassembler keeps by slot. Measured at 1,000,000: bench `flows`. */
export const FLOW_BYTES = 328
/**
 * What the objects of a connection with data weigh: measured, 1,800 bytes of heap after one request and its answer (bench
 * `flows`); the rest is room.
 */
export const CONNECTION_BYTES = 2048
/** Datagrams of one recvmmsg batch: each has a slot of --datagram-bytes. */
export const RECEIVE_SLOTS = 256
