/*
 * How the main thread and a thread of its own talk besides rings and counters: a few words of shared memory.
 *
 *  byte   field       written by   meaning
 *     0   COMMAND     main         run, or drain: finish what is there and return
 *    64   HEARTBEAT   thread       turns of its loop, modulo 2^32: a thread whose heartbeat stands still is stuck
 *   128   FAULT       main         a fault to break with (tests of supervision), else 0; the thread sets it back to 0
 *   192   WANTED      main         number of the last change of options that was posted to the thread
 *   256   APPLIED     thread       number of the last change that it took over; main, before it starts the thread
 *
 *  One writer per field but FAULT, which is handed over and back; each on a cache line of its own. What follows belongs to the kind
 *  of thread.
 *
 *  Ordering: what another thread writes is read by Atomics only, so each word is seen in the order of its stores. No plain memory depends
 *  on them; WANTED covers a message, which is in the thread's port before WANTED is stored (ports have a lock of their own). HEARTBEAT and
 *  APPLIED are read plainly by the thread that writes them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { FAULT_KINDS, type FaultKind } from './fault.ts'

const COMMAND = 0
const HEARTBEAT = 16
const FAULT = 32
const WANTED = 48
const APPLIED = 64
export const THREAD_CONTROL_BYTES = 320

export const Command = { run: 0, drain: 1 } as const

export class ThreadControl {
  protected readonly words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory)
  }

  get command(): number {
    return Atomics.load(this.words, COMMAND)
  }

  /** Wakes a thread that is in `pause`. */
  set command(value: number) {
    Atomics.store(this.words, COMMAND, value)
    Atomics.notify(this.words, COMMAND)
  }

  /** Blocks the thread until there is another command than `run`, or for `ms`. For threads without an event loop only. */
  pause(ms: number): void {
    Atomics.wait(this.words, COMMAND, Command.run, ms)
  }

  beat(): void {
    Atomics.store(this.words, HEARTBEAT, (this.words[HEARTBEAT]! + 1) | 0)
  }

  get heartbeat(): number {
    return Atomics.load(this.words, HEARTBEAT)
  }

  /** Main: a change of options lies in the thread's port. Stored after it was posted. */
  wantChange(number: number): void {
    Atomics.store(this.words, WANTED, number)
  }

  /** Thread, once a turn: whether changes wait in its port. */
  get hasChange(): boolean {
    return Atomics.load(this.words, WANTED) !== this.words[APPLIED]
  }

  /** Thread: everything in its port is taken over. @param number as `wanted` said before the port was read */
  changed(number: number): void {
    Atomics.store(this.words, APPLIED, number)
  }

  get wanted(): number {
    return Atomics.load(this.words, WANTED)
  }

  get applied(): number {
    return Atomics.load(this.words, APPLIED)
  }

  injectFault(kind: FaultKind): void {
    Atomics.store(this.words, FAULT, FAULT_KINDS.indexOf(kind) + 1)
  }

  /** The fault to break with, once. */
  takeFault(): FaultKind | null {
    if (Atomics.load(this.words, FAULT) === 0) return null
    return FAULT_KINDS[Atomics.exchange(this.words, FAULT, 0) - 1] ?? null
  }
}

/** Threads look for changes in every turn: the longest waits 200 ms. One that stands still is restarted, with what is new. */
const CHANGE_LIMIT_MS = 5_000

/** Resolves when the threads have taken over change `number`, or there is no more use in waiting. */
export async function changed(
  threads: readonly { readonly control: ThreadControl }[],
  number: number,
  isOver: () => boolean,
): Promise<void> {
  const untilMs = performance.now() + CHANGE_LIMIT_MS
  while (threads.some(({ control }) => control.applied !== number) && !isOver() && performance.now() < untilMs)
    await sleep(2)
}
