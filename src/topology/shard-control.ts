/*
 * How the main thread and one shard's thread talk besides the ring: a few words of shared memory.
 *
 *  byte   field       written by   meaning
 *     0   COMMAND     main         run, or drain: finish what is in the ring, close all flows, wait for answers, return
 *    64   HEARTBEAT   shard        turns of its loop, modulo 2^32: a shard whose heartbeat stands still is stuck
 *   128   FAULT       main         a fault to break with (tests of supervision), else 0; the shard sets it back to 0
 *   192   LINES_SENT  shard        characters of output posted, modulo 2^32
 *   256   LINES_DONE  main         characters of output written, modulo 2^32
 *
 *  One writer per field but FAULT, which is handed over and back; each on a cache line of its own.
 */
const COMMAND = 0
const HEARTBEAT = 16
const FAULT = 32
const LINES_SENT = 48
const LINES_DONE = 64
export const SHARD_CONTROL_BYTES = 320

export const Command = { run: 0, drain: 1 } as const
export const FAULT_KINDS = ['throw', 'exit', 'oom', 'spin'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export class ShardControl {
  private readonly words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory)
  }

  get command(): number {
    return Atomics.load(this.words, COMMAND)
  }

  set command(value: number) {
    Atomics.store(this.words, COMMAND, value)
  }

  beat(): void {
    Atomics.store(this.words, HEARTBEAT, (this.words[HEARTBEAT]! + 1) | 0)
  }

  get heartbeat(): number {
    return Atomics.load(this.words, HEARTBEAT)
  }

  injectFault(kind: FaultKind): void {
    Atomics.store(this.words, FAULT, FAULT_KINDS.indexOf(kind) + 1)
  }

  /** The fault to break with, once. */
  takeFault(): FaultKind | null {
    if (this.words[FAULT] === 0) return null
    return FAULT_KINDS[Atomics.exchange(this.words, FAULT, 0) - 1] ?? null
  }

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

  /** What the dead shard posted is on its way or lost; its successor starts even. */
  forgetLines(): void {
    Atomics.store(this.words, LINES_DONE, Atomics.load(this.words, LINES_SENT))
  }
}
