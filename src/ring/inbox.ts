/**
 * The rings of one shard, one from each receiving thread, read as one queue: each in its turn, none longer than its share while
 * others wait; or, while traffic has IP fragments, all of them in order of arrival (arrival-order.ts).
 *
 * The threads' clocks agree but their batches do not, so the time of one ring may lie a little after that of another. Time never
 * goes back here: `nowUs` of a view is the latest seen in any ring.
 */
import type { PacketView } from '../decapsulation/packet-view.ts'
import type { ArrivalOrder } from './arrival-order.ts'
import type { Doorbell } from './doorbell.ts'
import { RecordKind, RingConsumer } from './ring.ts'

/** Records taken from one ring before the next is looked at: a quarter of a shard's turn, and enough to stay in one ring's memory. */
const SHARE = 256
/**
 * A packet waits no longer than this for earlier ones: a receiver that stands still must not hold up the others for long (one that is known
 * to be dead does not at all), and one on a machine short of cores may need it. Nor does a packet wait in a ring that is half full.
 */
const LONGEST_WAIT_MS = 500

export class Inbox {
  /** Kind of the record that `next` found. */
  kind: number = RecordKind.packet
  private readonly rings: readonly RingConsumer[]
  private readonly bell: Doorbell
  private readonly order: ArrivalOrder
  private readonly drainedMs: Int32Array
  private current = 0
  private left = SHARE
  private latestUs = 0
  private isOrdered = false
  /** Monotonic clock of this turn. */
  private nowMs = 0

  /** @param order of the receivers whose rings these are, in the same order */
  constructor(memories: readonly SharedArrayBuffer[], bell: Doorbell, order: ArrivalOrder) {
    this.rings = memories.map((memory) => new RingConsumer(memory))
    this.bell = bell
    this.order = order
    this.drainedMs = new Int32Array(memories.length)
    bell.reset()
  }

  /**
   * Before the first `next` of a turn.
   * @param nowUs monotonic, of the clock whose readings the packets carry
   * @param isLast the receivers have ended, and nobody is waited for
   */
  beginTurn(nowUs: number, isLast: boolean): void {
    if (this.rings.length === 1) return
    this.nowMs = isLast ? Number.POSITIVE_INFINITY : nowUs / 1000
    this.isOrdered = isLast || this.order.isKept(this.nowMs)
  }

  /** Moves to the next record and points `view` into its ring, valid until `release`; false when nothing may be read now. */
  next(view: PacketView): boolean {
    if (!(this.isOrdered ? this.nextInOrder(view) : this.nextInTurn(view))) return false
    if (view.nowUs < this.latestUs) view.nowUs = this.latestUs
    else this.latestUs = view.nowUs
    return true
  }

  private nextInTurn(view: PacketView): boolean {
    const { rings } = this
    for (let tried = 0; ; tried++) {
      const ring = rings[this.current]!
      if (this.left > 0 && ring.next(view)) {
        this.left--
        this.kind = ring.kind
        return true
      }
      this.left = SHARE
      this.current = this.current + 1 === rings.length ? 0 : this.current + 1
      // Once more than there are rings: the first may have been left for its share, not for being empty.
      if (tried === rings.length) return false
    }
  }

  private nextInOrder(view: PacketView): boolean {
    const { rings, drainedMs } = this
    // Before the rings are looked at: what a receiver published before it wrote this is then seen.
    for (let i = 0; i < rings.length; i++) drainedMs[i] = this.order.drainedMs(i)
    let first = -1
    let firstUs = Number.POSITIVE_INFINITY
    for (let i = 0; i < rings.length; i++) {
      const timeUs = rings[i]!.headTimeUs()
      if (timeUs < firstUs) {
        first = i
        firstUs = timeUs
      }
    }
    if (first < 0) return false
    const takenMs = Math.floor(rings[first]!.headNowUs() / 1000)
    if (this.nowMs - takenMs <= LONGEST_WAIT_MS) {
      for (let i = 0; i < rings.length; i++) {
        if (((drainedMs[i]! - takenMs) | 0) > 0 || !rings[i]!.isEmpty() || this.order.isAbsent(i)) continue
        if (rings[first]!.used() < rings[first]!.capacity / 2) return false
      }
    }
    rings[first]!.next(view)
    this.kind = rings[first]!.kind
    return true
  }

  /** Gives the space of everything read so far back to the producers. Once per batch. */
  release(): void {
    for (let i = 0; i < this.rings.length; i++) this.rings[i]!.release()
  }

  isEmpty(): boolean {
    for (let i = 0; i < this.rings.length; i++) if (!this.rings[i]!.isEmpty()) return false
    return true
  }

  /** Sleeps until a producer publishes into any of the rings, or `timeoutMs` pass. */
  sleep(timeoutMs: number): Promise<void> {
    return this.bell.sleep(this.isEmptyNow, timeoutMs)
  }

  private readonly isEmptyNow = (): boolean => this.isEmpty()
}
