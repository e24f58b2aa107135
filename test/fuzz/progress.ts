import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'

/*
 * What a fuzzing thread tells the main thread while it runs, and how it is told to stop: one block of float64, so that a thread that
 * hangs has told already what it was trying.
 *
 *  index  field      written by   meaning
 *      0  STOP       main         not 0: end after the input in hand
 *      1  TARGET     job          index of the target in hand
 *      2  ITERATION  job          number of its input
 *      3  SINCE      job          when it was begun, milliseconds since the epoch; 0: nothing is in hand
 *      4  HEAP       job          bytes of its heap
 *      8  targets    job          five a target: inputs, milliseconds, longest one, bytes, findings
 */

const STOP = 0
const TARGET = 1
const ITERATION = 2
const SINCE = 3
const HEAP = 4
const TARGETS_AT = 8
const PER_TARGET = 5

export interface TargetFigures {
  inputs: number
  ms: number
  longestMs: number
  bytes: number
  findings: number
}

export class Progress {
  readonly memory: SharedArrayBuffer
  private readonly values: Float64Array

  constructor(targets: number, memory = new SharedArrayBuffer((TARGETS_AT + targets * PER_TARGET) * 8)) {
    this.memory = memory
    this.values = new Float64Array(memory)
  }

  get isStopped(): boolean {
    return this.values[STOP] !== 0
  }

  stop(): void {
    this.values[STOP] = 1
  }

  begins(target: number, iteration: number): void {
    this.values[TARGET] = target
    this.values[ITERATION] = iteration
    this.values[SINCE] = Date.now()
  }

  ends(): void {
    this.values[SINCE] = 0
  }

  get inHand(): { target: number; iteration: number; ms: number } | null {
    const since = this.values[SINCE]!
    if (since === 0) return null
    return { target: this.values[TARGET]!, iteration: this.values[ITERATION]!, ms: Date.now() - since }
  }

  get heapBytes(): number {
    return this.values[HEAP]!
  }

  set heapBytes(bytes: number) {
    this.values[HEAP] = bytes
  }

  tried(target: number, inputs: number, ms: number, longestMs: number, bytes: number): void {
    const at = TARGETS_AT + target * PER_TARGET
    this.values[at]! += inputs
    this.values[at + 1]! += ms
    this.values[at + 2] = Math.max(this.values[at + 2]!, longestMs)
    this.values[at + 3]! += bytes
  }

  found(target: number): void {
    this.values[TARGETS_AT + target * PER_TARGET + 4]!++
  }

  of(target: number): TargetFigures {
    const [inputs, ms, longestMs, bytes, findings] = this.values.subarray(TARGETS_AT + target * PER_TARGET)
    return { inputs: inputs!, ms: ms!, longestMs: longestMs!, bytes: bytes!, findings: findings! }
  }
}

/** The same in a file, for a process that dies with all its threads: one a job of two float64, target and iteration. */
export class InHandFile {
  private readonly file: number
  private readonly record = new Float64Array(2)

  constructor(path: string, job: number) {
    this.file = openSync(`${path}-${job}`, 'w')
  }

  write(target: number, iteration: number): void {
    this.record[0] = target
    this.record[1] = iteration
    writeSync(this.file, this.record, 0, this.record.byteLength, 0)
  }
}

/** @param path as it was given to the jobs */
export function readInHand(path: string): { target: number; iteration: number }[] {
  const folder = dirname(path)
  return readdirSync(folder)
    .map((file) => readFileSync(join(folder, file)))
    .filter((bytes) => bytes.length === 16)
    .map((bytes) => ({ target: bytes.readDoubleLE(0), iteration: bytes.readDoubleLE(8) }))
}
