/**
 * Bytes of one direction that are not delivered though they came: nobody but the receiver knows what it read there. In order of their
 * numbers, disjoint.
 */
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'

export interface Mark {
  seq: number
  end: number
  /** One of GapReason. */
  readonly why: number
}

/** Chosen: more urgent bytes than a sender can announce in a window that is not ill meant. Beyond them marks are united. */
const MOST = 64

export class Marks {
  private readonly marks: Mark[] = []

  get isEmpty(): boolean {
    return this.marks.length === 0
  }

  add(seq: number, length: number, why: number): void {
    const end = seqAdd(seq, length)
    const { marks } = this
    let i = 0
    while (i < marks.length && !seqBefore(seq, marks[i]!.end)) i++
    const next = marks[i]
    if (next === undefined || !seqBefore(next.seq, end)) marks.splice(i, 0, { seq, end, why })
    else {
      // Whoever marked first has named the reason.
      if (seqBefore(seq, next.seq)) next.seq = seq
      if (seqBefore(next.end, end)) next.end = end
      for (let after = marks[i + 1]; after !== undefined && seqBefore(after.seq, next.end); after = marks[i + 1]) {
        if (seqBefore(next.end, after.end)) next.end = after.end
        marks.splice(i + 1, 1)
      }
    }
    if (marks.length > MOST) {
      marks[MOST - 1]!.end = marks[MOST]!.end
      marks.pop()
    }
  }

  /** The first that ends after `seq`; what lies before is forgotten. */
  first(seq: number): Mark | undefined {
    const { marks } = this
    while (marks.length > 0 && seqDistance(marks[0]!.end, seq) >= 0) marks.shift()
    return marks[0]
  }
}
