/*
 * How the main thread and one shard's thread talk besides the ring: the words of thread-control.ts, and
 *
 *  byte   field       written by   meaning
 *   320   LINES_SENT  shard        characters of output posted, modulo 2^32
 *   384   LINES_DONE  main         characters of output written, modulo 2^32
 *   448   SLOW_US     main         microseconds more that every packet is made to take (tests of overload), else 0; outlives the shard
 *
 *  Ordering: each word is read by Atomics where another thread writes it, and stands for itself.
 */
import { THREAD_CONTROL_BYTES, ThreadControl } from './thread-control.ts'

const LINES_SENT = THREAD_CONTROL_BYTES / 4
const LINES_DONE = LINES_SENT + 16
const SLOW_US = LINES_DONE + 16
export const SHARD_CONTROL_BYTES = THREAD_CONTROL_BYTES + 192

export class ShardControl extends ThreadControl {
  linesSent(characters: number): void {
    Atomics.store(this.words, LINES_SENT, (this.words[LINES_SENT]! + characters) | 0)
  }

  linesDone(characters: number): void {
    Atomics.store(this.words, LINES_DONE, (this.words[LINES_DONE]! + characters) | 0)
  }

  /** Characters posted and not yet written. */
  linesPending(): number {
    return (Atomics.load(this.words, LINES_SENT) - Atomics.load(this.words, LINES_DONE)) | 0
  }

  /** What the dead shard posted is on its way or lost; the restarted worker starts even. */
  forgetLines(): void {
    Atomics.store(this.words, LINES_DONE, Atomics.load(this.words, LINES_SENT))
  }

  get slowUs(): number {
    return Atomics.load(this.words, SLOW_US)
  }

  set slowUs(us: number) {
    Atomics.store(this.words, SLOW_US, us)
  }
}
