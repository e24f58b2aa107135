/*
 * How a sleeping shard learns that one of its rings has something: one bell per shard, whatever the number of its rings.
 *
 *  byte   field      written by       meaning
 *     0   RUNG       anybody          u32, times the bell was rung, modulo 2^32; what the sleeper waits on
 *    64   SLEEPING   shard            1 from before it looks at its rings for the last time until it is awake, else 0
 *
 *  No wake-up is missed: the producer publishes and then reads SLEEPING, the shard writes SLEEPING and then reads its rings. All are
 *  sequentially consistent, so at least one of the two sees what the other wrote. A bell rung between that look and the wait has
 *  moved RUNG, and the wait returns at once.
 */
const RUNG = 0
const SLEEPING = 16
export const DOORBELL_BYTES = 128

export class Doorbell {
  private readonly words: Int32Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(DOORBELL_BYTES)) {
    this.words = new Int32Array(memory)
  }

  /** After a publication. While the shard is awake it costs one load: a wake-up per batch would cost more than the batch. */
  ringIfAsleep(): void {
    if (Atomics.load(this.words, SLEEPING) === 1) this.ring()
  }

  ring(): void {
    Atomics.add(this.words, RUNG, 1)
    Atomics.notify(this.words, RUNG)
  }

  /** A shard that died asleep leaves the bell so. */
  reset(): void {
    Atomics.store(this.words, SLEEPING, 0)
  }

  /**
   * Sleeps until the bell is rung or `timeoutMs` pass; not at all when `isEmpty` says no. Price: a wake-up costs more than the
   * clock that is used while traffic flows, so this is for after a quiet spell only. Never blocks the thread.
   */
  async sleep(isEmpty: () => boolean, timeoutMs: number): Promise<void> {
    const rung = Atomics.load(this.words, RUNG)
    Atomics.store(this.words, SLEEPING, 1)
    if (isEmpty()) {
      const wait = Atomics.waitAsync(this.words, RUNG, rung, timeoutMs)
      if (wait.async) await wait.value
    }
    this.reset()
  }
}
