/** Waits in poll(2) until one of several descriptors can be read. Blocks the thread: for threads without an event loop only. */
import type { Libc } from './libc.ts'

/** struct pollfd, 8 bytes: fd i32, events i16, revents i16. */
const POLLFD_WORDS = 2
const POLLIN = 1

export class ReadinessSet {
  private readonly libc: Libc
  private readonly entries: Int32Array
  private readonly address: number

  constructor(libc: Libc, descriptors: readonly number[]) {
    this.libc = libc
    // Shared memory does not move: the kernel is given its address. Held here for as long.
    this.entries = new Int32Array(new SharedArrayBuffer(descriptors.length * POLLFD_WORDS * 4))
    for (const [i, descriptor] of descriptors.entries()) {
      this.entries[i * POLLFD_WORDS] = descriptor
      this.entries[i * POLLFD_WORDS + 1] = POLLIN
    }
    this.address = libc.address(this.entries)
  }

  /** Returns when there is something to read, after `timeoutMs`, or on a signal: the caller looks for itself. */
  wait(timeoutMs: number): void {
    this.libc.pollOnce(this.address, this.entries.length / POLLFD_WORDS, timeoutMs)
  }
}
