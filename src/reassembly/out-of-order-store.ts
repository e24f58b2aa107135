/**
 * Segments of one direction that cannot be delivered yet, sorted and disjoint: overlaps are decided when a segment comes in.
 *
 * Policies, for bytes that stand twice with different content (what is delivered already always wins):
 *
 *   linux  as a Linux receiver's queue does: a new segment inside or equal to an old one loses; one with the same start that
 *          is longer replaces it; one that starts earlier wins the overlap; one that starts inside keeps only its tail. What is whole
 *          from the stream's next byte on the receiver has read already: there the first wins
 *   first  the copy captured first wins
 *   last   the copy captured last wins
 *
 * Linux keeps its segments whole, and may join two that touch: where another segment begins then, and which of three wins, depends on how
 * its driver laid them out in memory. Such bytes are conflicts.
 */
import { seqAdd, seqDistance } from '../wire/seq.ts'

export type OverlapPolicy = 'linux' | 'first' | 'last'

/** A stored piece of a segment: bytes [at, end) of a copy that belongs to the store. */
export interface StoredSegment {
  seq: number
  readonly bytes: Buffer
  at: number
  end: number
  /** Acknowledgement number of the packet, and whether it carried one. */
  readonly ack: number
  readonly hasAck: boolean
  readonly timeUs: number
  /** The flow's packet count and the time when it came in: how old the pending gap before it is. */
  readonly packet: number
  readonly arrivedUs: number
  /** The piece begins where its TCP segment began. */
  startsSegment: boolean
  /** The other side acknowledged exactly up to its start: see HTTP resynchronisation. */
  isAckedTo: boolean
  /** The receiver's queue has a segment that begins exactly here: its front was not cut off, and none that waited ended there. */
  isWhole: boolean
}

/** Bytes of which two different copies came, and nobody can tell which of them the receiver keeps. */
export interface StoreConflict {
  readonly seq: number
  readonly length: number
}

/** What a segment costs beyond its bytes, so that floods of tiny segments meet the bound too: about what the objects weigh. */
const SEGMENT_OVERHEAD = 192

export class OutOfOrderStore {
  /** Bytes held, overhead included. */
  cost = 0
  /** Overlaps seen whose bytes differ. */
  differing = 0
  /** Those of the last insertion that are not decided. */
  conflicts: StoreConflict[] = []
  private readonly policy: OverlapPolicy
  private segments: StoredSegment[] = []
  /** Segments before this index are gone; the array is compacted now and then. */
  private head = 0
  /** Behind what is whole from the stream's next byte on: the receiver has read it. Valid with linux, once something was inserted. */
  private receivedTo = 0

  constructor(policy: OverlapPolicy) {
    this.policy = policy
  }

  first(): StoredSegment | undefined {
    return this.segments[this.head]
  }

  /** After the last byte held; null where there is none. */
  end(): number | null {
    const last = this.length === 0 ? undefined : this.segments[this.segments.length - 1]
    return last === undefined ? null : seqAdd(last.seq, last.end - last.at)
  }

  get length(): number {
    return this.segments.length - this.head
  }

  /** Takes the first segment out. */
  shift(): StoredSegment {
    const segment = this.segments[this.head]!
    this.cost -= segment.end - segment.at + SEGMENT_OVERHEAD
    this.head++
    if (this.head >= 64 && this.head * 2 >= this.segments.length) {
      this.segments = this.segments.slice(this.head)
      this.head = 0
    }
    return segment
  }

  /** Cuts off what stands before `seq`: it was delivered from elsewhere. */
  trimBefore(seq: number): void {
    for (let first = this.first(); first !== undefined; first = this.first()) {
      const behind = seqDistance(first.seq, seq)
      if (behind <= 0) return
      if (behind < first.end - first.at) {
        this.cutFront(first, behind)
        return
      }
      this.shift()
    }
  }

  /** Marks the segment that begins exactly at `seq`, if there is one. */
  markAckedTo(seq: number): void {
    const segment = this.segments[this.place(seq)]
    if (segment !== undefined && segment.seq === seq) segment.isAckedTo = true
  }

  /**
   * Copies bytes [segment.at, segment.end) in under the policy. `segment.bytes` may be borrowed.
   * @param nextSeq the stream's next byte
   */
  insert(segment: StoredSegment, nextSeq: number): void {
    this.conflicts = []
    if (this.policy === 'last') this.insertLast(segment)
    else if (this.policy === 'first') this.insertFirst(segment)
    else {
      if (this.length === 0 || seqDistance(this.receivedTo, nextSeq) > 0) this.receivedTo = nextSeq
      this.noteReceived()
      this.insertLinux(segment)
      this.noteReceived()
    }
  }

  /** Puts back what was taken out by `shift`, or the rest of it. */
  putBack(segment: StoredSegment): void {
    this.segments.splice(this.head, 0, segment)
    this.cost += segment.end - segment.at + SEGMENT_OVERHEAD
  }

  /** One of the segments that wait covers [from, to). */
  covers(from: number, to: number): boolean {
    const segment = this.segments[this.place(from)]
    if (segment === undefined || seqDistance(segment.seq, from) < 0) return false
    return seqDistance(to, seqAdd(segment.seq, segment.end - segment.at)) >= 0
  }

  /** Index of the first segment whose end lies after `seq`: the one that holds it, or the next. */
  private place(seq: number): number {
    let low = this.head
    let high = this.segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const segment = this.segments[middle]!
      if (seqDistance(seqAdd(segment.seq, segment.end - segment.at), seq) >= 0) low = middle + 1
      else high = middle
    }
    return low
  }

  private insertLinux(segment: StoredSegment): void {
    const read = seqDistance(segment.seq, this.receivedTo)
    if (read >= 0) {
      if (read < segment.end - segment.at) this.insertInOrder(segment, read)
      return
    }
    const end = seqAdd(segment.seq, segment.end - segment.at)
    let i = this.place(segment.seq)
    const before = i > this.head ? this.segments[i - 1] : undefined
    const touches = before !== undefined && seqAdd(before.seq, before.end - before.at) === segment.seq
    const left = this.segments[i]
    segment.isWhole = !touches
    if (left !== undefined && seqDistance(left.seq, segment.seq) >= 0) {
      const leftEnd = seqAdd(left.seq, left.end - left.at)
      // Longer than it alone, but maybe not than it with what touches it.
      const right = this.segments[i + 1]
      const isLonger = left.seq === segment.seq && right?.seq === leftEnd && !right.isWhole
      // What lies within it loses, joined to others or not.
      const isWithin = seqDistance(end, leftEnd) >= 0
      this.compare(left, segment, isWithin || (left.isWhole && !touches && !isLonger))
      if (isWithin) return
      if (left.seq === segment.seq) this.removeAt(i)
      else {
        dropFront(segment, seqDistance(segment.seq, leftEnd))
        i++
      }
    }
    this.clearRight(i, segment, end, false)
    this.put(i, segment, segment.at, segment.end)
  }

  /** Continues what the receiver has: nothing that waits comes before it. */
  private insertInOrder(segment: StoredSegment, read: number): void {
    const end = seqAdd(segment.seq, segment.end - segment.at)
    if (read > 0) dropFront(segment, read)
    const i = this.place(segment.seq)
    this.clearRight(i, segment, end, true)
    this.put(i, segment, segment.at, segment.end)
  }

  /** Moves on over what is whole. */
  private noteReceived(): void {
    for (let i = this.place(this.receivedTo); ; i++) {
      const segment = this.segments[i]
      if (segment === undefined || seqDistance(segment.seq, this.receivedTo) < 0) return
      this.receivedTo = seqAdd(segment.seq, segment.end - segment.at)
    }
  }

  /** Old segments from index `i` on are replaced by `segment` where it reaches into them. */
  private clearRight(i: number, segment: StoredSegment, end: number, isInOrder: boolean): void {
    for (let right = this.segments[i]; right !== undefined; right = this.segments[i]) {
      const reach = seqDistance(right.seq, end)
      if (reach <= 0) return
      this.compare(right, segment, isInOrder || right.isWhole)
      if (reach < right.end - right.at) {
        this.cutFront(right, reach)
        return
      }
      this.removeAt(i)
    }
  }

  private insertFirst(segment: StoredSegment): void {
    let i = this.place(segment.seq)
    while (segment.at < segment.end) {
      const old = this.segments[i]
      const length = segment.end - segment.at
      const free = old === undefined ? length : Math.min(length, seqDistance(segment.seq, old.seq))
      if (free > 0) {
        this.put(i, segment, segment.at, segment.at + free)
        i++
        dropFront(segment, free)
      }
      if (old === undefined || segment.at >= segment.end) return
      this.compare(old, segment, true)
      dropFront(
        segment,
        Math.min(segment.end - segment.at, seqDistance(segment.seq, seqAdd(old.seq, old.end - old.at))),
      )
      i++
    }
  }

  private insertLast(segment: StoredSegment): void {
    const end = seqAdd(segment.seq, segment.end - segment.at)
    let i = this.place(segment.seq)
    const left = this.segments[i]
    const inside = left === undefined ? 0 : seqDistance(left.seq, segment.seq)
    if (left !== undefined && inside > 0) {
      this.compare(left, segment, true)
      const leftEnd = seqAdd(left.seq, left.end - left.at)
      const behind = seqDistance(end, leftEnd)
      if (behind > 0) {
        // The new one lies within: the old one's tail becomes a piece of its own.
        const tail = {
          ...left,
          seq: end,
          at: left.end - behind,
          startsSegment: false,
          isAckedTo: false,
          isWhole: false,
        }
        this.segments.splice(i + 1, 0, tail)
        this.cost += SEGMENT_OVERHEAD
        this.cost -= left.end - left.at - inside - behind
        left.end = left.at + inside
      } else {
        this.cost -= left.end - left.at - inside
        left.end = left.at + inside
      }
      i++
    }
    this.clearRight(i, segment, end, true)
    this.put(i, segment, segment.at, segment.end)
  }

  private put(i: number, segment: StoredSegment, at: number, end: number): void {
    // Memory of its own: a piece of a shared slab would hold on to the whole, forty times what is counted for one byte.
    const bytes = Buffer.allocUnsafeSlow(end - at)
    segment.bytes.copy(bytes, 0, at, end)
    const piece = { ...segment, bytes, at: 0, end: bytes.length }
    this.segments.splice(i, 0, piece)
    this.cost += bytes.length + SEGMENT_OVERHEAD
  }

  private removeAt(i: number): void {
    const [segment] = this.segments.splice(i, 1)
    this.cost -= segment!.end - segment!.at + SEGMENT_OVERHEAD
  }

  private cutFront(segment: StoredSegment, n: number): void {
    dropFront(segment, n)
    this.cost -= n
  }

  /** Counts an overlap whose common bytes differ. @param isDecided which of them the receiver keeps is known */
  private compare(old: StoredSegment, fresh: StoredSegment, isDecided: boolean): void {
    const from = seqDistance(old.seq, fresh.seq) > 0 ? fresh.seq : old.seq
    const oldAt = old.at + seqDistance(old.seq, from)
    const freshAt = fresh.at + seqDistance(fresh.seq, from)
    const length = Math.min(old.end - oldAt, fresh.end - freshAt)
    if (length <= 0) return
    if (old.bytes.compare(fresh.bytes, freshAt, freshAt + length, oldAt, oldAt + length) === 0) return
    this.differing++
    if (!isDecided) this.conflicts.push({ seq: from, length })
  }
}

function dropFront(segment: StoredSegment, n: number): void {
  segment.seq = seqAdd(segment.seq, n)
  segment.at += n
  segment.startsSegment = false
  segment.isAckedTo = false
  segment.isWhole = false
}
