/*
 * How the main thread and one shard's thread talk besides the ring: the words of thread-control.ts, and
 *
 *  byte   field       written by   meaning
 *   320   OUTPUT_SENT shard        bytes of output posted, modulo 2^32
 *   384   OUTPUT_DONE main         bytes of output written, modulo 2^32
 *   448   SLOW_US     main         microseconds more that every packet is made to take (tests of overload), else 0; outlives the shard
 *
 *  Ordering: each word is read by Atomics where another thread writes it, and stands for itself.
 */
import { THREAD_CONTROL_BYTES, ThreadControl } from './thread-control.ts'

const OUTPUT_SENT = THREAD_CONTROL_BYTES / 4
const OUTPUT_DONE = OUTPUT_SENT + 16
const SLOW_US = OUTPUT_DONE + 16
export const SHARD_CONTROL_BYTES = THREAD_CONTROL_BYTES + 192

export class ShardControl extends ThreadControl {
  outputSent(bytes: number): void {
    Atomics.store(this.words, OUTPUT_SENT, (this.words[OUTPUT_SENT]! + bytes) | 0)
  }

  outputDone(bytes: number): void {
    Atomics.store(this.words, OUTPUT_DONE, (this.words[OUTPUT_DONE]! + bytes) | 0)
  }

  /** Bytes posted and not yet written. */
  outputPending(): number {
    return (Atomics.load(this.words, OUTPUT_SENT) - Atomics.load(this.words, OUTPUT_DONE)) | 0
  }

  /** What the dead shard posted is on its way or lost; the restarted worker starts even. */
  forgetOutput(): void {
    Atomics.store(this.words, OUTPUT_DONE, Atomics.load(this.words, OUTPUT_SENT))
  }

  get slowUs(): number {
    return Atomics.load(this.words, SLOW_US)
  }

  set slowUs(us: number) {
    Atomics.store(this.words, SLOW_US, us)
  }
}
