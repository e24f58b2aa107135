/**
 * Reads the body of one message (RFC 9112 section 6): by length, by chunks, or until the connection ends. Incremental over any
 * split, and able to jump over a gap where the framing stays certain.
 */

import { BACKSLASH, CHARACTERS, Char, COLON, CR, hexValue, LF, QUOTE, SEMICOLON } from './characters.ts'
import { Fault } from './fault.ts'

export interface BodyTarget {
  /** Transfer-decoded bytes [at, end), borrowed until this returns. */
  bodyData(bytes: Buffer, at: number, end: number): void
}

const State = {
  done: 0,
  /** `remaining` bytes follow. */
  length: 1,
  /** Everything until the connection ends. */
  untilClose: 2,
  chunkSize: 3,
  chunkExtension: 4,
  chunkSizeLf: 5,
  /** `remaining` bytes of chunk data follow. */
  chunkData: 6,
  chunkDataCr: 7,
  chunkDataLf: 8,
  /** At the start of a trailer line. */
  trailerStart: 9,
  trailerName: 10,
  trailerValue: 11,
  trailerLf: 12,
  lastLf: 13,
  /** Inside a quoted string of a chunk extension, and after a backslash in it. */
  chunkQuoted: 14,
  chunkQuotedPair: 15,
} as const

/** 2^52: a chunk size stays an exact number. */
const MAX_CHUNK_DIGITS = 13
/** Leading zeros are allowed, but not for ever. */
const MAX_CHUNK_SIZE_LINE = 16 * 1024

export class BodyReader {
  /** What was wrong, after `read` returned -1: a code of Fault. */
  fault = 0
  /** Index of the byte that was wrong. */
  faultAt = 0
  private state: number = State.done
  private remaining = 0
  private digits = 0
  private sizeSeen = false
  /** Bytes of the present chunk-size line or of the trailer. */
  private lineBytes = 0
  private readonly maxTrailerBytes: number

  constructor(maxTrailerBytes: number) {
    this.maxTrailerBytes = maxTrailerBytes
  }

  get isDone(): boolean {
    return this.state === State.done
  }

  get endsWithConnection(): boolean {
    return this.state === State.untilClose
  }

  startLength(length: number): void {
    this.remaining = length
    this.state = length === 0 ? State.done : State.length
  }

  startChunked(): void {
    this.state = State.chunkSize
    this.startSize()
  }

  startUntilClose(): void {
    this.state = State.untilClose
  }

  /** The message is given up. */
  stop(): void {
    this.state = State.done
  }

  /** Reads from [at, end) and returns the index after what it took: the end of the message or `end`. -1: a fault. */
  read(bytes: Buffer, at: number, end: number, target: BodyTarget): number {
    let i = at
    while (i < end) {
      switch (this.state) {
        case State.done:
          return i
        case State.length: {
          const n = Math.min(this.remaining, end - i)
          target.bodyData(bytes, i, i + n)
          i += n
          this.remaining -= n
          if (this.remaining === 0) this.state = State.done
          break
        }
        case State.untilClose:
          target.bodyData(bytes, i, end)
          return end
        case State.chunkData: {
          const n = Math.min(this.remaining, end - i)
          target.bodyData(bytes, i, i + n)
          i += n
          this.remaining -= n
          if (this.remaining === 0) this.state = State.chunkDataCr
          break
        }
        default: {
          const fault = this.framingByte(bytes[i]!)
          if (fault !== 0) {
            this.fault = fault
            this.faultAt = i
            return -1
          }
          i++
        }
      }
    }
    return i
  }

  /** Jumps over `length` bytes that will not come; false where they may have held framing. */
  skip(length: number): boolean {
    if (this.state === State.untilClose) return true
    if ((this.state !== State.length && this.state !== State.chunkData) || length > this.remaining) return false
    this.remaining -= length
    if (this.remaining === 0) this.state = this.state === State.length ? State.done : State.chunkDataCr
    return true
  }

  private startSize(): void {
    this.remaining = 0
    this.digits = 0
    this.sizeSeen = false
    this.lineBytes = 0
  }

  /** One byte that is not data. Returns a fault or 0. */
  private framingByte(c: number): number {
    switch (this.state) {
      case State.chunkSize:
        if (++this.lineBytes > MAX_CHUNK_SIZE_LINE) return Fault.chunkSize
        if ((CHARACTERS[c]! & Char.hex) !== 0) {
          this.sizeSeen = true
          this.remaining = this.remaining * 16 + hexValue(c)
          return this.remaining > 0 && ++this.digits > MAX_CHUNK_DIGITS ? Fault.chunkSize : 0
        }
        if (!this.sizeSeen) return Fault.chunkSize
        if (c === CR) this.state = State.chunkSizeLf
        else if (c === SEMICOLON) this.state = State.chunkExtension
        else return Fault.chunkSize
        return 0
      case State.chunkExtension:
        if (++this.lineBytes > MAX_CHUNK_SIZE_LINE) return Fault.chunkSize
        if (c === CR) this.state = State.chunkSizeLf
        else if (c === QUOTE) this.state = State.chunkQuoted
        else if ((CHARACTERS[c]! & Char.value) === 0) return Fault.chunkSize
        return 0
      case State.chunkQuoted:
      case State.chunkQuotedPair:
        // No line ends inside: one that seems to is its end to some readers, and text to others.
        if (++this.lineBytes > MAX_CHUNK_SIZE_LINE || (CHARACTERS[c]! & Char.value) === 0) return Fault.chunkSize
        if (this.state === State.chunkQuotedPair) this.state = State.chunkQuoted
        else if (c === BACKSLASH) this.state = State.chunkQuotedPair
        else if (c === QUOTE) this.state = State.chunkExtension
        return 0
      case State.chunkSizeLf:
        if (c !== LF) return Fault.chunkSize
        if (this.remaining > 0) this.state = State.chunkData
        else {
          this.state = State.trailerStart
          this.lineBytes = 0
        }
        return 0
      case State.chunkDataCr:
        if (c !== CR) return Fault.chunkEnd
        this.state = State.chunkDataLf
        return 0
      case State.chunkDataLf:
        if (c !== LF) return Fault.chunkEnd
        this.state = State.chunkSize
        this.startSize()
        return 0
      default:
        return this.trailerByte(c)
    }
  }

  private trailerByte(c: number): number {
    if (++this.lineBytes > this.maxTrailerBytes) return Fault.trailer
    const bits = CHARACTERS[c]!
    switch (this.state) {
      case State.trailerStart:
        if (c === CR) this.state = State.lastLf
        else if ((bits & Char.token) !== 0) this.state = State.trailerName
        else return Fault.trailer
        return 0
      case State.trailerName:
        if (c === COLON) this.state = State.trailerValue
        else if ((bits & Char.token) === 0) return Fault.trailer
        return 0
      case State.trailerValue:
        if (c === CR) this.state = State.trailerLf
        else if ((bits & Char.value) === 0) return Fault.trailer
        return 0
      case State.trailerLf:
        if (c !== LF) return Fault.trailer
        this.state = State.trailerStart
        return 0
      default:
        if (c !== LF) return Fault.trailer
        this.state = State.done
        return 0
    }
  }
}
