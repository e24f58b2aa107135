/** The disorder of all flows of a shard, by slot, and the bytes that are held in it. */
import { Direction } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { Disorder } from './disorder.ts'
import { DoubtfulSegments } from './doubtful-segments.ts'
import { Marks } from './marks.ts'
import { OutOfOrderStore, type OverlapPolicy } from './out-of-order-store.ts'

export class Disorders {
  storedBytes = 0
  private readonly table: FlowTable
  private readonly counters: CounterBlock
  private readonly overlap: OverlapPolicy
  private readonly disorders: (Disorder | null)[] = []
  /** The last one given up: where neighbours change places, the next is needed at once. */
  private spare: Disorder | null = null

  constructor(table: FlowTable, counters: CounterBlock, overlap: OverlapPolicy) {
    this.table = table
    this.counters = counters
    this.overlap = overlap
  }

  /** A row was taken: it has none. */
  opened(slot: number): void {
    this.disorders[slot] = null
  }

  of(slot: number): Disorder | null {
    return this.disorders[slot] ?? null
  }

  need(slot: number): Disorder {
    const present = this.disorders[slot]
    if (present != null) return present
    const disorder = this.spare ?? new Disorder()
    this.spare = null
    this.disorders[slot] = disorder
    return disorder
  }

  storeOf(key: number): OutOfOrderStore | null {
    return this.disorders[key >> 1]?.stores[key & 1] ?? null
  }

  needStore(key: number): OutOfOrderStore {
    const { stores } = this.need(key >> 1)
    const store = stores[key & 1] ?? new OutOfOrderStore(this.overlap)
    stores[key & 1] = store
    return store
  }

  doubtfulOf(key: number): DoubtfulSegments | null {
    return this.disorders[key >> 1]?.doubtful[key & 1] ?? null
  }

  needDoubtful(key: number): DoubtfulSegments {
    const { doubtful } = this.need(key >> 1)
    const segments = doubtful[key & 1] ?? new DoubtfulSegments()
    doubtful[key & 1] = segments
    return segments
  }

  marksOf(key: number): Marks | null {
    return this.disorders[key >> 1]?.marks[key & 1] ?? null
  }

  needMarks(key: number): Marks {
    const { marks } = this.need(key >> 1)
    const own = marks[key & 1] ?? new Marks()
    marks[key & 1] = own
    return own
  }

  account(bytes: number): void {
    this.storedBytes += bytes
    this.counters.set(Counter.outOfOrderBytes, this.storedBytes)
  }

  /** What stands before nextSeq was delivered from elsewhere. */
  trim(key: number): void {
    const store = this.storeOf(key)
    if (store === null) return
    const before = store.cost
    store.trimBefore(this.table.nextSeq[key]!)
    this.account(store.cost - before)
  }

  forgetStore(key: number): void {
    const store = this.storeOf(key)
    if (store === null) return
    this.account(-store.cost)
    this.need(key >> 1).stores[key & 1] = null
  }

  forgetDoubtful(key: number): void {
    const doubtful = this.doubtfulOf(key)
    if (doubtful === null) return
    this.account(-doubtful.cost)
    this.need(key >> 1).doubtful[key & 1] = null
  }

  /** Gives up what holds nothing any more. */
  tidy(slot: number): void {
    const disorder = this.disorders[slot]
    if (disorder == null) return
    for (let direction = 0; direction < 2; direction++) {
      const marks = disorder.marks[direction]
      if (marks != null && marks.first(this.table.nextSeq[slot * 2 + direction]!) === undefined)
        disorder.marks[direction] = null
    }
    const { directionFlags } = this.table
    if (!disorder.isEmpty || ((directionFlags[slot * 2]! | directionFlags[slot * 2 + 1]!) & Direction.hole) !== 0)
      return
    this.disorders[slot] = null
    this.spare = disorder
  }

  /** The connection is over. */
  clear(slot: number): void {
    for (let key = slot * 2; key <= slot * 2 + 1; key++) {
      this.forgetStore(key)
      this.forgetDoubtful(key)
    }
    this.disorders[slot] = null
  }
}
