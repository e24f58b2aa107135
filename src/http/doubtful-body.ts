/**
 * The rest of a body whose sender may have given it up, because it may have had the final response (RFC 9110 section 10.1.1): it is the body
 * unless it reads like another request.
 */
import { Probe } from './first-line.ts'
import { RequestLineSearch } from './request-line-search.ts'

export class DoubtfulBody {
  private readonly search = new RequestLineSearch()

  /** How far the body may be read: to the end of the first request line in [at, end). */
  limit(bytes: Buffer, at: number, end: number): number {
    TRIAL.copyFrom(this.search)
    const found = TRIAL.find(bytes, at, end)
    return found < 0 ? end : found
  }

  /** The bytes were read as the body. True: a request line ends in them. */
  took(bytes: Buffer, at: number, end: number): boolean {
    return this.search.find(bytes, at, end) >= 0
  }

  /** The body is whole. True: a request line may have begun in it, and the bytes after it decide. */
  ends(): boolean {
    this.search.bodyEnds()
    return this.search.isOpen
  }

  /** Bytes after the body. One of Probe: whether a request line that began in it ends in them. */
  probe(bytes: Buffer, at: number, end: number): number {
    if (this.search.find(bytes, at, end) >= 0) return Probe.yes
    return this.search.isOpen ? Probe.more : Probe.no
  }
}

const TRIAL = new RequestLineSearch()
