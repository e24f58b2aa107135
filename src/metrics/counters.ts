/**
 * Every counter of the product in one table, and the shared memory they are published through.
 *
 * A thread owns one CounterBlock: it adds to a plain Float64Array of its own and publishes the whole block once per
 * batch. The main thread reads all blocks and sums them; only it speaks Prometheus.
 *
 *  One block in the SharedArrayBuffer, 64-byte aligned (a triple buffer):
 *
 *   byte                  field    written by         meaning
 *      0                  HOLDERS  owner and reader,  u32: which of the three copies is the owner's to write, which was published last,
 *                                  by compare-and-    and which is the reader's. Drawn at `holders` below
 *                                  swap
 *     64 + COPY_BYTES i   copy i   owner, while it    BLOCK_VALUES x float64, in the order of this file
 *                                  holds it
 *
 *  The owner fills its copy and swaps it with the published one; the reader swaps its copy with the published one where that is newer, and
 *  reads. Neither waits for the other, and an owner that dies while it fills its copy leaves the publication before whole.
 *
 *  Why no word of a copy is read and written at once, on any processor (ECMA-262 section 29, Memory Model). The copies are written and read
 *  by plain accesses, which order nothing and may tear. But each copy has one holder at a time, and changes hands in HOLDERS only, whose
 *  accesses are sequentially consistent:
 *
 *  - owner to reader: the owner's writes to copy i come before its compare-and-swap in program order; the reader's compare-and-swap reads
 *    what that stored, so the one synchronizes with the other; the reader's reads of copy i come after it. So the writes happen before the
 *    reads, and every read gives the value of that publication.
 *  - reader to owner: the reader's reads of copy i come before the compare-and-swap by which it puts the copy back as the published one; the
 *    owner takes it by a later compare-and-swap of the same word, and writes after that. So the reads happen before the writes.
 *  - an owner that begins where another one ended reads the published copy, or the reader's, and both are only read by others meanwhile.
 *
 *  So the program has no data race here, and is sequentially consistent (Data Race Freedom). A sequence lock, with plain reads between two
 *  looks at a version, is not: an ordering load does not keep the plain loads before it from moving after it, nor an ordering store
 *  the plain stores after it from moving before it (arm64: LDAR, STLR).
 *
 *  One thread reads: the main one. Integers stay exact in a float64 up to 2^53, which no counter reaches.
 */
import { OUTCOME_NAMES, PACKET_DROP_NAMES, REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../base/drop.ts'
import { numbered } from '../base/numbered.ts'
import { PASSED_OVER_VALUES, passOver } from './passed-over.ts'
import { SCALARS, type ScalarName } from './scalars.ts'
import { ADDED_LATENCY_BUCKETS, LATENCY_BUCKETS } from './time-buckets.ts'

const SCALAR_NAMES = Object.keys(SCALARS) as ScalarName[]

/** Index of each scalar in a block. */
export const Counter = numbered(SCALAR_NAMES)

/** First index of each vector in a block; element `code` of a vector stands at base + code. */
export const PACKET_DROPS = SCALAR_NAMES.length
export const REQUEST_DROPS = PACKET_DROPS + PACKET_DROP_NAMES.length
export const RESPONSE_DROPS = REQUEST_DROPS + REQUEST_DROP_NAMES.length
export const OUTCOMES = RESPONSE_DROPS + RESPONSE_DROP_NAMES.length
export const LATENCIES = OUTCOMES + OUTCOME_NAMES.length
export const ADDED_LATENCIES = LATENCIES + LATENCY_BUCKETS.count
export const COUNTERS = ADDED_LATENCIES + ADDED_LATENCY_BUCKETS.count
/** After the counters, which can be added up, the tables of what was passed over, which cannot. */
export const PASSED_OVER_AT = COUNTERS
export const BLOCK_VALUES = PASSED_OVER_AT + PASSED_OVER_VALUES

const COPIES_AT = 64
/** A multiple of 64: no cache line belongs to two copies. */
const COPY_BYTES = Math.ceil((BLOCK_VALUES * 8) / 64) * 64
/** Bytes of one block, a multiple of 64. */
export const COUNTER_BLOCK_BYTES = COPIES_AT + 3 * COPY_BYTES

const HOLDERS = 0
/** HOLDERS, from bit 0 on: the owner's copy, the published one, the reader's, 2 bits each. Memory begins as zeros, which stand for 0, 1, 2. */
const AT_FIRST = 0 | (1 << 2) | (2 << 4)
/** The published copy is newer than the reader's. */
const FRESH = 1 << 6

function holders(own: number, published: number, read: number, fresh: number): number {
  return (own | (published << 2) | (read << 4) | fresh) ^ AT_FIRST
}

function ownCopy(word: number): number {
  return (word ^ AT_FIRST) & 3
}

function publishedCopy(word: number): number {
  return ((word ^ AT_FIRST) >> 2) & 3
}

function readCopy(word: number): number {
  return ((word ^ AT_FIRST) >> 4) & 3
}

function copiesOf(memory: SharedArrayBuffer, byteOffset: number): Float64Array[] {
  return [0, 1, 2].map((i) => new Float64Array(memory, byteOffset + COPIES_AT + i * COPY_BYTES, BLOCK_VALUES))
}

/** The counters of one thread. `values` is private to the thread; `publish` makes them visible. */
export class CounterBlock {
  readonly values = new Float64Array(BLOCK_VALUES)
  private readonly words: Int32Array
  private readonly copies: readonly Float64Array[]
  /** After it `values` and all copies hold zeros: the latencies of a thread that sends nothing, what was passed over in most. */
  private used: Float64Array

  /** @param byteOffset start of the block in `memory`, a multiple of 64. With no `memory` the block is for one thread. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(COUNTER_BLOCK_BYTES), byteOffset = 0) {
    this.words = new Int32Array(memory, byteOffset, 1)
    this.copies = copiesOf(memory, byteOffset)
    // A restarted worker continues counting where the previous one's last publication ended.
    const word = Atomics.load(this.words, HOLDERS)
    this.values.set(this.copies[(word & FRESH) !== 0 ? publishedCopy(word) : readCopy(word)]!)
    // In the owner's copy, too: a worker that died while it filled it left there what it never published.
    const last = Math.max(...this.copies.map((copy) => copy.findLastIndex((value) => value !== 0)))
    this.used = this.values.subarray(0, last < LATENCIES ? LATENCIES : last < COUNTERS ? COUNTERS : BLOCK_VALUES)
  }

  add(counter: number, n = 1): void {
    this.values[counter]! += n
  }

  set(counter: number, n: number): void {
    this.values[counter] = n
  }

  get(counter: number): number {
    return this.values[counter]!
  }

  packetDrop(code: number, n = 1): void {
    this.values[PACKET_DROPS + code]! += n
  }

  requestDrop(code: number, n = 1): void {
    this.values[REQUEST_DROPS + code]! += n
  }

  responseDrop(code: number, n = 1): void {
    this.values[RESPONSE_DROPS + code]! += n
  }

  outcome(code: number, n = 1): void {
    this.values[OUTCOMES + code]! += n
  }

  /** A packet that is not read, for this number of it. @param kind of PassedOver */
  passOver(kind: number, number: number): void {
    passOver(this.values, PASSED_OVER_AT, kind, number)
    this.use(BLOCK_VALUES)
  }

  latency(us: number): void {
    this.use(COUNTERS)
    this.values[LATENCIES + LATENCY_BUCKETS.of(us)]! += 1
    this.values[Counter.latencySumUs]! += us
  }

  /** @param us 0 or more */
  addedLatency(us: number): void {
    this.use(COUNTERS)
    this.values[ADDED_LATENCIES + ADDED_LATENCY_BUCKETS.of(us)]! += 1
    this.values[Counter.addedLatencySumUs]! += us
  }

  /** @param length of `values`, before which something will stand */
  private use(length: number): void {
    if (length > this.used.length) this.used = this.values.subarray(0, length)
  }

  /** Copies all values to shared memory. Once per batch: about a microsecond. */
  publish(): void {
    const { words } = this
    let word = Atomics.load(words, HOLDERS)
    // The reader never moves the owner's copy: whatever it does meanwhile, this one stays ours.
    const own = ownCopy(word)
    this.copies[own]!.set(this.used)
    for (;;) {
      const next = holders(publishedCopy(word), own, readCopy(word), FRESH)
      // After the values it publishes.
      const found = Atomics.compareExchange(words, HOLDERS, word, next)
      if (found === word) return
      // The reader took a publication in between: at most once a reading.
      word = found
    }
  }
}

/**
 * Reads the last publication of a block into `into`, COUNTERS values or all BLOCK_VALUES, as they were published. The main thread's: a block
 * has one reader.
 */
export function readCounterBlock(memory: SharedArrayBuffer, byteOffset: number, into: Float64Array): void {
  const words = new Int32Array(memory, byteOffset, 1)
  let word = Atomics.load(words, HOLDERS)
  while ((word & FRESH) !== 0) {
    const next = holders(ownCopy(word), readCopy(word), publishedCopy(word), 0)
    // After the last reading of the copy it gives away, before the reading of the one it takes.
    const found = Atomics.compareExchange(words, HOLDERS, word, next)
    word = found === word ? next : found
  }
  into.set(copiesOf(memory, byteOffset)[readCopy(word)]!.subarray(0, into.length))
}
