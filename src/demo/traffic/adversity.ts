/**
 * What networks and mirrors do to a TCP conversation: segments cut small, out of order, twice, or again with other boundaries.
 * Nothing is lost and no byte is changed, so a receiver that is right gives the same streams.
 */
import { seqAdd } from '../../wire/seq.ts'
import { TcpFlag } from '../../wire/tcp.ts'
import type { Random } from './random.ts'
import type { Tally } from './tally.ts'
import type { Cut, Segment } from './tcp-conversation.ts'

/** Shares of the segments that meet each fate. */
export interface AdversityOptions {
  readonly reordered: number
  readonly duplicated: number
  readonly overlapping: number
}

/** How far a segment is moved, in segments of its connection: well inside the smallest default reorder window (64 packets). */
const MAX_DISPLACEMENT = 4
/** Bytes of a message sent one by one before the rest goes normally. */
const ONE_BYTE_RUN = 24

/** Segments as full as the path allows, of any length, or one byte at a time: chosen per message. */
export function chooseCut(random: Random, maxSegmentBytes: number, tally: Tally): Cut {
  const style = random.below(100)
  if (style < 70) return () => maxSegmentBytes
  if (style < 98) return (left) => random.between(1, Math.min(left, maxSegmentBytes))
  let run = ONE_BYTE_RUN
  return () => {
    if (run-- <= 0) return maxSegmentBytes
    tally.oneByte++
    return 1
  }
}

/** @returns the segments in the order in which they are seen; SYN, RST and probes stay where they are */
export function disturb(
  segments: readonly Segment[],
  options: AdversityOptions,
  random: Random,
  tally: Tally,
): Segment[] {
  const seen: Segment[] = []
  for (const [i, segment] of segments.entries()) {
    seen.push(segment)
    if (!isMovable(segment)) continue
    if (random.chance(options.overlapping)) {
      const again = overlapping(segments, i, random)
      if (again !== null) {
        seen.push(again)
        tally.overlapping++
      }
    }
    if (random.chance(options.duplicated)) {
      seen.push(segment)
      tally.duplicated++
    }
  }
  // From the end, so that a moved segment is not met again.
  for (let i = seen.length - 1; i >= 0; i--) {
    if (!isMovable(seen[i]!) || !random.chance(options.reordered)) continue
    let to = i
    const limit = Math.min(seen.length - 1, i + random.between(1, MAX_DISPLACEMENT))
    while (to < limit && isMovable(seen[to + 1]!)) to++
    if (to === i) continue
    seen.splice(to, 0, ...seen.splice(i, 1))
    tally.reordered++
  }
  return seen
}

/** Where a probe stands matters: seen before the byte it repeats, its own would be as good as the real one. */
function isMovable(segment: Segment): boolean {
  return !segment.isProbe && (segment.flags & (TcpFlag.syn | TcpFlag.rst)) === 0
}

/** A retransmission with other boundaries: the end of the segment before segment `i` and the beginning of `i`. */
function overlapping(segments: readonly Segment[], i: number, random: Random): Segment | null {
  const last = segments[i]!
  const first = segments
    .slice(Math.max(0, i - 2), i)
    .find((s) => s.from === last.from && !s.isProbe && seqAdd(s.seq, s.payload.length) === last.seq)
  if (last.payload.length < 2) return null
  const before =
    first === undefined || first.payload.length < 2
      ? Buffer.alloc(0)
      : first.payload.subarray(random.between(1, first.payload.length - 1))
  const after = last.payload.subarray(0, random.between(1, last.payload.length - 1))
  // Never longer than the longer of the two, so that it fits where they fitted.
  const payload = Buffer.concat([before, after]).subarray(0, Math.max(last.payload.length, first?.payload.length ?? 0))
  return { ...last, seq: seqAdd(last.seq, -before.length), flags: TcpFlag.ack, payload }
}
