/*
 * What lets a shard read several rings in the order in which their packets arrived at the machine.
 *
 * A connection comes through one receiver, in order, whatever the others do; only its IP fragments come through another one (receiver 0).
 * While there are fragments, shards therefore merge their rings by time of arrival, and take a packet only when every ring that is empty is
 * known to bring nothing earlier: that costs a few milliseconds of delay, and so it ends when fragments do.
 *
 *  byte          field       written by   meaning
 *     0          FRAGMENTS   receiver 0   i32, ms of the wall clock modulo 2^32 when it last saw a fragment. A run begins as if one had just
 *                                         been seen: what the traffic is like is not known yet
 *    64 (r + 1)  DRAINED     receiver r   i32, the same clock: whatever arrived at its sockets before is published in its rings. Stored after
 *                                         the publication
 */
const FRAGMENTS = 0
const LINE_WORDS = 16

/** How long after the last fragment order is kept. Chosen: traffic that has fragments has more of them. */
const KEPT_MS = 10_000
/** Between a packet's time stamp and its place in the socket's queue, on a busy machine. Chosen generously. */
const QUEUEING_MS = 1

export function arrivalOrderBytes(receivers: number): number {
  return (receivers + 1) * LINE_WORDS * 4
}

export class ArrivalOrder {
  private readonly words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory)
  }

  sawFragment(nowMs: number): void {
    Atomics.store(this.words, FRAGMENTS, nowMs | 0)
  }

  isKept(nowMs: number): boolean {
    // Either way: the wall clock may be set back.
    return Math.abs(((nowMs | 0) - Atomics.load(this.words, FRAGMENTS)) | 0) <= KEPT_MS
  }

  /** @param sinceMs wall clock before the system call that found the sockets empty */
  drained(receiver: number, sinceMs: number): void {
    Atomics.store(this.words, (receiver + 1) * LINE_WORDS, (sinceMs - QUEUEING_MS) | 0)
  }

  /** Milliseconds of the wall clock, modulo 2^32. Read before the ring is found empty. */
  drainedMs(receiver: number): number {
    return Atomics.load(this.words, (receiver + 1) * LINE_WORDS)
  }
}
