/**
 * Makes a shard slow on purpose (`POST /debug/fault?…&kind=slow&us=N`), so that tests can have shards that cannot follow. It stands still
 * instead of working: what is measured beside it keeps the processor, and a busy machine makes it no slower.
 */

/** Shorter waits are not kept exactly; what one was too long, the next ones are shorter. */
const LEAST_WAIT_MS = 1
/** A slow shard's turn lasts about so long, as other turns do: its sockets and timers stay served. */
const TURN_US = 2_000

export class DelayInjection {
  private readonly sleeper = new Int32Array(new SharedArrayBuffer(4))
  private owedMs = 0

  /** Stands still for `us`, taken together with the packets before and after it. */
  packet(us: number): void {
    this.owedMs += us / 1000
    if (this.owedMs < LEAST_WAIT_MS) return
    const beforeMs = performance.now()
    Atomics.wait(this.sleeper, 0, 0, this.owedMs)
    this.owedMs -= performance.now() - beforeMs
  }

  /** Records of a turn. */
  static turnRecords(us: number, usual: number): number {
    return us === 0 ? usual : Math.min(usual, Math.max(1, Math.floor(TURN_US / us)))
  }
}
