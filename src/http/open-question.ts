/** Where a reader stands, and bytes that it gathers until they answer what they are. */
import type { LineProbe } from './first-line.ts'
import type { Gathered } from './gathered.ts'
import { HeadAssembly, State } from './head-assembly.ts'
import { Skipped } from './message-role.ts'

/** What is decided by the bytes that are gathered. */
export const Question = {
  /** Is this the first line of a message at a proven boundary? */
  boundary: 0,
  /** Is this the body, or the next answer? */
  bodyOrAnswer: 1,
  /** Did a request line begin in what was taken for the body? */
  endOfBody: 2,
} as const

export abstract class OpenQuestion extends HeadAssembly {
  /** Bytes that wait for the answer to a question, and which. */
  protected gathered: Gathered | null = null
  protected question: number = Question.boundary
  protected probe: LineProbe | null = null
  protected hadNoData = true
  protected stopReason: number = Skipped.ambiguous

  /** Nothing is read any more, because nobody can tell what follows. */
  get isAmbiguous(): boolean {
    return this.state === State.stopped && this.stopReason === Skipped.ambiguous
  }

  /** Nothing is read any more, because the connection ends. */
  get isClosed(): boolean {
    return this.state === State.stopped && this.stopReason === Skipped.behindClose
  }

  get isWaiting(): boolean {
    return this.state === State.waiting
  }

  /** No message is in hand. */
  get isIdle(): boolean {
    return this.state === State.idle || this.state === State.stopped || this.isLost
  }

  /** No message boundary is known. */
  get isLost(): boolean {
    return this.state === State.resync || (this.state === State.gather && this.question === Question.boundary)
  }

  /** A body is being read, or what may be one. */
  get isInBody(): boolean {
    return this.state === State.body || (this.state === State.gather && this.question !== Question.boundary)
  }

  /** What comes next begins a message. */
  get isAtBoundary(): boolean {
    return this.state === State.idle
  }

  /** No message is in hand, as far as anything was seen. */
  get isUntouched(): boolean {
    return this.state === State.idle || this.hadNoData
  }

  /** What comes next will be recognised for what it is. */
  get isReadable(): boolean {
    return this.state !== State.stopped && !this.isLost
  }

  /** A body is whole, unless the next bytes go on with a request line that began in it. */
  get isUndecided(): boolean {
    return this.state === State.gather && this.question === Question.endOfBody
  }

  protected ask(question: number): void {
    this.state = State.gather
    this.question = question
    this.gathered = null
    this.probe = question === Question.endOfBody ? null : this.role.newProbe()
  }

  protected dropGathered(): void {
    if (this.gathered !== null) this.role.skipped(this.gathered.length, Skipped.unproven)
    this.gathered = null
    this.probe = null
    this.release()
  }
}
