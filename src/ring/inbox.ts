/**
 * The rings of one shard, one from each receiving thread, read as one queue: each in its turn, none longer than its share while
 * others wait.
 *
 * The threads' clocks agree but their batches do not, so the time of one ring may lie a little behind that of another. Time never
 * goes back here: `nowUs` of a view is the latest seen in any ring.
 */
import type { PacketView } from '../decapsulation/packet-view.ts'
import type { Doorbell } from './doorbell.ts'
import { RecordKind, RingConsumer } from './ring.ts'

/** Records taken from one ring before the next is looked at: a quarter of a shard's turn, and enough to stay in one ring's memory. */
const SHARE = 256

export class Inbox {
  /** Kind of the record that `next` found. */
  kind: number = RecordKind.packet
  private readonly rings: readonly RingConsumer[]
  private readonly bell: Doorbell
  private current = 0
  private left = SHARE
  private latestUs = 0

  constructor(memories: readonly SharedArrayBuffer[], bell: Doorbell) {
    this.rings = memories.map((memory) => new RingConsumer(memory))
    this.bell = bell
    bell.reset()
  }

  /** Moves to the next record and points `view` into its ring, valid until `release`; false when all rings are empty. */
  next(view: PacketView): boolean {
    const { rings } = this
    for (let tried = 0; ; tried++) {
      const ring = rings[this.current]!
      if (this.left > 0 && ring.next(view)) {
        this.left--
        this.kind = ring.kind
        if (view.nowUs < this.latestUs) view.nowUs = this.latestUs
        else this.latestUs = view.nowUs
        return true
      }
      this.left = SHARE
      this.current = this.current + 1 === rings.length ? 0 : this.current + 1
      // Once more than there are rings: the first may have been left for its share, not for being empty.
      if (tried === rings.length) return false
    }
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
