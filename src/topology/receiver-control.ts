/*
 * How the main thread and one receiving thread talk besides rings and counters: the words of thread-control.ts, and
 *
 *  byte   field   written by   meaning
 *   320   TAKEN   receiver     u32, datagrams taken from the kernel so far, modulo 2^32; stored after each system call, before the first of
 *                              them is looked at. What a receiver that died had taken and not handed over follows from it
 *   384   ERRNO   receiver     the last error of receiving that was neither an empty socket nor a signal, else 0
 *
 *  Ordering: both are accessed by Atomics and stand for themselves. TAKEN is 32 bits because those are read whole while they are written;
 *  the main thread, which looks many times an hour, keeps the full count.
 */
import { THREAD_CONTROL_BYTES, ThreadControl } from './thread-control.ts'

const TAKEN = THREAD_CONTROL_BYTES / 4
const ERRNO = TAKEN + 16
export const RECEIVER_CONTROL_BYTES = THREAD_CONTROL_BYTES + 128

export class ReceiverControl extends ThreadControl {
  private takenInAll = 0

  /** Thread: modulo 2^32. */
  get taken(): number {
    return Atomics.load(this.words, TAKEN)
  }

  set taken(datagrams: number) {
    Atomics.store(this.words, TAKEN, datagrams | 0)
  }

  /** Main: datagrams taken since this object was made. To be read before another 2^32 have come. */
  datagramsTaken(): number {
    this.takenInAll += (Atomics.load(this.words, TAKEN) - this.takenInAll) >>> 0
    return this.takenInAll
  }

  get errno(): number {
    return Atomics.load(this.words, ERRNO)
  }

  set errno(value: number) {
    Atomics.store(this.words, ERRNO, value)
  }
}
