import { CaptureRecord, type RecordSource } from '../capture-record.ts'

/**
 * One source of several, in order of time; at equal times, in the order given. Each source keeps its own order, even where
 * its times go back. A single source is returned as it is.
 *
 * A source whose `fill` throws is left out from then on: whoever wants the others keeps calling `fill`.
 * The merged source owns the given ones: closing it closes them.
 */
export function mergeCaptures(sources: readonly RecordSource[]): RecordSource {
  return sources.length === 1 ? sources[0]! : new MergedCaptures(sources)
}

class MergedCaptures implements RecordSource {
  readonly record = new CaptureRecord()
  private readonly sources: readonly RecordSource[]
  /** Time of the record each source stands at; Infinity where there is none. */
  private readonly headTimesUs: Float64Array
  /** Sources that have to be filled before it is known whose turn it is. */
  private readonly unfilled: number[]
  /** The source whose record was handed out last and that has to move on first; -1: none. */
  private taken = -1
  /** The source whose record is the earliest, and the one after it; -1: none. */
  private earliest = -1
  private rival = -1

  constructor(sources: readonly RecordSource[]) {
    this.sources = sources
    this.headTimesUs = new Float64Array(sources.length).fill(Number.POSITIVE_INFINITY)
    this.unfilled = sources.map((_, index) => index)
  }

  get warnings(): readonly string[] {
    return this.sources.flatMap((source) => source.warnings)
  }

  get bytesRead(): number {
    return this.sources.reduce((sum, source) => sum + source.bytesRead, 0)
  }

  get bytesTotal(): number | null {
    return this.sources.reduce<number | null>(
      (sum, { bytesTotal }) => (sum === null || bytesTotal === null ? null : sum + bytesTotal),
      0,
    )
  }

  next(): boolean {
    const { taken } = this
    if (taken >= 0) {
      const source = this.sources[taken]!
      if (!source.next()) return false
      this.headTimesUs[taken] = source.record.timeUs
      this.taken = -1
      // Mostly the same source remains the earliest: then the others need not be looked at.
      if (this.rival >= 0 && !this.isBefore(taken, this.rival)) this.choose()
    }
    if (this.unfilled.length > 0 || this.earliest < 0) return false
    this.borrow(this.sources[this.earliest]!.record)
    this.taken = this.earliest
    return true
  }

  async fill(): Promise<boolean> {
    if (this.taken >= 0) {
      this.unfilled.push(this.taken)
      this.taken = -1
    }
    while (this.unfilled.length > 0) {
      const index = this.unfilled.shift()!
      this.headTimesUs[index] = Number.POSITIVE_INFINITY
      const source = this.sources[index]!
      if ((await source.fill()) && source.next()) this.headTimesUs[index] = source.record.timeUs
    }
    this.choose()
    return this.earliest >= 0
  }

  async close(): Promise<void> {
    await Promise.all(this.sources.map((source) => source.close()))
  }

  private isBefore(a: number, b: number): boolean {
    const aUs = this.headTimesUs[a]!
    const bUs = this.headTimesUs[b]!
    return aUs < bUs || (aUs === bUs && a < b)
  }

  private choose(): void {
    this.earliest = -1
    this.rival = -1
    for (let index = 0; index < this.headTimesUs.length; index++) {
      if (this.headTimesUs[index] === Number.POSITIVE_INFINITY) continue
      if (this.earliest < 0 || this.isBefore(index, this.earliest)) {
        this.rival = this.earliest
        this.earliest = index
      } else if (this.rival < 0 || this.isBefore(index, this.rival)) {
        this.rival = index
      }
    }
  }

  /** Copied, not passed on: whoever reads the merged record sees one object of one shape. */
  private borrow(from: CaptureRecord): void {
    const to = this.record
    to.bytes = from.bytes
    to.at = from.at
    to.end = from.end
    to.wireLength = from.wireLength
    to.linkType = from.linkType
    to.timeUs = from.timeUs
  }
}
