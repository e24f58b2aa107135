/*
 * How the main thread and one receiving thread talk besides rings and counters: the words of thread-control.ts, and
 *
 *  byte   field   written by   meaning
 *   320   TAKEN   receiver     f64, datagrams taken from the kernel so far; stored after each system call, before the first of them is
 *                              looked at. What a receiver that died had taken and not handed over follows from it
 *   384   ERRNO   receiver     the last error of receiving that was neither an empty socket nor a signal, else 0
 */
import { THREAD_CONTROL_BYTES, ThreadControl } from './thread-control.ts'

const TAKEN = THREAD_CONTROL_BYTES / 8
const ERRNO = THREAD_CONTROL_BYTES / 4 + 16
export const RECEIVER_CONTROL_BYTES = THREAD_CONTROL_BYTES + 128

export class ReceiverControl extends ThreadControl {
  private readonly doubles: Float64Array

  constructor(memory: SharedArrayBuffer) {
    super(memory)
    this.doubles = new Float64Array(memory)
  }

  get taken(): number {
    return this.doubles[TAKEN]!
  }

  set taken(datagrams: number) {
    this.doubles[TAKEN] = datagrams
  }

  get errno(): number {
    return Atomics.load(this.words, ERRNO)
  }

  set errno(value: number) {
    Atomics.store(this.words, ERRNO, value)
  }
}
