/*
 * What lets a shard read several rings in the order in which their packets arrived at the machine.
 *
 * A connection comes through one receiver, in order, whatever the others do; only its IP fragments come through another one (receiver 0).
 * While there are fragments, shards therefore merge their rings by time of arrival, and take a packet only when every ring that is empty is
 * known to bring nothing earlier: that costs a few milliseconds of delay, and so it ends when fragments do.
 *
 *  byte            field       written by   meaning
 *     0            FRAGMENTS   receiver 0   i32, ms of the monotonic clock modulo 2^32 when it last saw a fragment. A run begins as if one
 *                                           had just been seen: what the traffic is like is not known yet
 *    64 (r + 1)    DRAINED     receiver r   i32, the same clock: whatever was in its sockets then is published in its rings. Stored after the
 *                                           publication
 *    64 (r + 1)+4  ABSENT      main         1 from the death of receiver r until it is restarted, which sets it back to 0
 *
 *  All accesses are sequentially consistent. DRAINED is stored after PRODUCED of the rings (ring.ts) and loaded before it: whoever finds a
 *  DRAINED finds what was published before it. The other words stand for themselves; nothing else is read on the strength of them.
 *
 *  Why DRAINED is compared with the time a packet was TAKEN from its socket, and not with its arrival: between its time stamp and the
 *  socket's queue a packet may lie in the kernel for as long as the machine is busy. But they leave that queue in order: when the later
 *  packet is in its socket, the earlier one is in its own, and a receiver that looks from then on finds it.
 */
const FRAGMENTS = 0
const LINE_WORDS = 16

/** How long after the last fragment order is kept. Chosen: traffic that has fragments has more of them. */
const KEPT_MS = 10_000

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
    return (((nowMs | 0) - Atomics.load(this.words, FRAGMENTS)) | 0) <= KEPT_MS
  }

  /** @param sinceMs before the system calls that emptied the sockets */
  drained(receiver: number, sinceMs: number): void {
    Atomics.store(this.words, (receiver + 1) * LINE_WORDS, Math.floor(sinceMs) | 0)
  }

  /** Nobody needs to wait for it: its socket queues until it is restarted. */
  setAbsent(receiver: number, isAbsent: boolean): void {
    Atomics.store(this.words, (receiver + 1) * LINE_WORDS + 1, isAbsent ? 1 : 0)
  }

  isAbsent(receiver: number): boolean {
    return Atomics.load(this.words, (receiver + 1) * LINE_WORDS + 1) === 1
  }

  /** Milliseconds, modulo 2^32. Read before the ring is found empty. */
  drainedMs(receiver: number): number {
    return Atomics.load(this.words, (receiver + 1) * LINE_WORDS)
  }
}
