/**
 * The rest of a body whose sender may have given it up, because it may have had the final response (RFC 9110 section 10.1.1): it is the body
 * unless it reads like another request.
 */
import { Probe } from './first-line.ts'
import { RequestLineSearch } from './request-line-search.ts'

export class DoubtfulBody {
  readonly search = new RequestLineSearch()
  /** As the search stood behind the body, where a request line may have begun in it. */
  atEnd: RequestLineSearch | null = null

  /** How far the body may be read: to the end of the first request line in [at, end). */
  limit(bytes: Buffer, at: number, end: number): number {
    const found = this.search.ahead(bytes, at, end)
    return found < 0 ? end : found
  }

  /** The bytes were read as the body. True: a request line ends in them. */
  took(bytes: Buffer, at: number, end: number): boolean {
    return this.search.find(bytes, at, end) >= 0
  }

  /** The body is whole. True: a request line may have begun in it, and the bytes after it decide. */
  ends(): boolean {
    this.search.bodyEnds()
    if (!this.search.isOpen) return false
    this.atEnd = new RequestLineSearch()
    this.atEnd.copyFrom(this.search)
    return true
  }

  /** Bytes after the body. One of Probe: whether a request line that began in it ends in them. */
  probe(bytes: Buffer, at: number, end: number): number {
    if (this.search.find(bytes, at, end) >= 0) return Probe.yes
    return this.search.isOpen ? Probe.more : Probe.no
  }
}
