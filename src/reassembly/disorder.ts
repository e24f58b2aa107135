/** What a flow has only while something of it is missing, waits or is in doubt: most flows never do. */
import type { OfferedOptions } from './acceptance.ts'
import type { DoubtfulSegments } from './doubtful-segments.ts'
import type { Marks } from './marks.ts'
import type { OutOfOrderStore } from './out-of-order-store.ts'

/** A connection that may begin on the five-tuple of one that is open: a SYN, or a SYN+ACK, came that is none of the open one's. */
export interface Opening {
  /** Key of the side that opens. */
  readonly client: number
  /** First number of its stream: by its SYN, whose options they are, or by what the SYN+ACK acknowledges; null: that came first. */
  readonly clientFirst: number
  readonly clientOptions: OfferedOptions | null
  /** null: the SYN+ACK did not come yet. */
  readonly serverFirst: number | null
  readonly serverOptions: OfferedOptions | null
  readonly sinceUs: number
}

export interface WaitingFin {
  readonly seq: number
  /** Where its segment began; null: it may be a part of the one in front of it. */
  readonly start: number | null
}

/** By direction: index 0 and 1. */
export class Disorder {
  readonly stores: [OutOfOrderStore | null, OutOfOrderStore | null] = [null, null]
  readonly doubtful: [DoubtfulSegments | null, DoubtfulSegments | null] = [null, null]
  readonly marks: [Marks | null, Marks | null] = [null, null]
  /** When the pending gap was noticed, by the flow's packet count and by time; valid with Direction.hole. */
  readonly gapPackets: [number, number] = [0, 0]
  readonly gapUs: [number, number] = [0, 0]
  /** A RST that follows a pending gap: it counts where exactly that is filled. */
  readonly resets: [number | null, number | null] = [null, null]
  /** FINs that wait behind a gap, the first of them at finSeq; valid with Direction.fin. */
  readonly fins: [WaitingFin[], WaitingFin[]] = [[], []]
  opening: Opening | null = null

  get isEmpty(): boolean {
    const { stores, doubtful, marks, resets } = this
    return (
      stores[0] === null &&
      stores[1] === null &&
      doubtful[0] === null &&
      doubtful[1] === null &&
      marks[0] === null &&
      marks[1] === null &&
      resets[0] === null &&
      resets[1] === null &&
      this.opening === null
    )
  }
}
