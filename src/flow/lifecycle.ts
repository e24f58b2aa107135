/**
 * Connections come and go: opened, expired, evicted, restarted on the same five-tuple. What ends with one of them (streams, their
 * parsers) its owner ends: see FlowOwner.
 */
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import type { DeliveredBefore } from './delivered-before.ts'
import type { EndedConnections } from './ended-connections.ts'
import { EvictionLists, FlowList } from './eviction-lists.ts'
import { ExpiryWheel } from './expiry-wheel.ts'
import { Direction, Flow } from './flow-state.ts'
import type { FlowTable } from './flow-table.ts'
import type { WatchList } from './watch-list.ts'

export interface LifecycleOptions {
  readonly idleTimeoutMs: number
  /** The same for a connection whose handshake is not complete and that sent no data. */
  readonly openingTimeoutMs: number
  /** How long a finished connection stays in the table, so that late repetitions find it. */
  readonly closingTimeoutMs: number
}

/** Why a connection ends, as its owner calls it. */
export interface EndCodes {
  readonly expired: number
  readonly input: number
  readonly replaced: number
  readonly evicted: number
}

/** Who holds what is read of the connections. */
export interface FlowOwner {
  /** A row was taken: nothing is held of it. */
  opened(slot: number): void
  /** Delivers what can be delivered, gives up the rest. Returns whether that ended where no message boundary is known. */
  ended(slot: number, why: number): boolean
  /** A message is in hand that would be lost. */
  isBusy(slot: number): boolean
  /** Where a direction stood when it was read before. */
  recalled(key: number, seq: number): void
}

/** Between two signs of progress of `closeAll`: some 10 ms. */
const CLOSED_AT_ONCE = 1024
/**
 * A connection in the middle of a message is evicted for another only when it was silent for so long: what is under way is worth
 * more than what may come. Chosen: longer than the packets of one message are apart.
 */
const EVICTABLE_AFTER_US = 5_000_000
/** Connections looked at for one that may be evicted, before the new one is refused. The busy ones go to the end of their list. */
const EVICTION_LOOKS = 4

export class Lifecycle {
  /** Connections not yet ended. */
  open = 0
  nowUs = 0
  readonly idleUs: number
  private readonly openingUs: number
  private readonly closingUs: number
  private readonly table: FlowTable
  private readonly watched: WatchList
  private readonly before: DeliveredBefore
  private readonly past: EndedConnections
  private readonly counters: CounterBlock
  private readonly owner: FlowOwner
  private readonly codes: EndCodes
  private readonly wheel: ExpiryWheel
  private readonly lists: EvictionLists
  private readonly lookAtExpiry = (slot: number): void => this.expireOrReschedule(slot)
  private readonly recalled = (key: number, seq: number): void => this.owner.recalled(key, seq)

  constructor(
    options: LifecycleOptions,
    table: FlowTable,
    watched: WatchList,
    before: DeliveredBefore,
    past: EndedConnections,
    counters: CounterBlock,
    owner: FlowOwner,
    codes: EndCodes,
  ) {
    this.table = table
    this.watched = watched
    this.before = before
    this.past = past
    this.counters = counters
    this.owner = owner
    this.codes = codes
    this.wheel = new ExpiryWheel(table)
    this.lists = new EvictionLists(table)
    this.idleUs = options.idleTimeoutMs * 1000
    this.openingUs = Math.min(options.openingTimeoutMs, options.idleTimeoutMs) * 1000
    this.closingUs = options.closingTimeoutMs * 1000
  }

  /** The flow has been silent for longer than it may, though nobody looked yet. */
  isOverdue(slot: number): boolean {
    return this.nowUs - this.table.lastSeenUs[slot]! >= this.timeoutUs(slot)
  }

  /** A row for the connection that just began; its slot was taken by `table.insert`. */
  begin(slot: number): void {
    this.counters.add(Counter.flowsOpened)
    this.open++
    this.owner.opened(slot)
    this.table.lastSeenUs[slot] = this.nowUs
    this.lists.move(slot, FlowList.opening)
    this.before.recall(slot, this.nowUs, this.recalled)
    this.wheel.schedule(slot, this.nowUs + this.openingUs)
  }

  /** The same five-tuple begins a new connection. */
  restart(slot: number): void {
    this.end(slot, this.codes.replaced)
    // It may be the same connection, after a long loss or a RST that its receiver ignored. After a SYN the bit is not read.
    const midMessage = this.table.flags[slot]! & Flow.midMessage
    this.table.clearState(slot)
    this.table.flags[slot] = midMessage
    this.lists.move(slot, FlowList.opening)
    this.counters.add(Counter.flowsOpened)
    this.open++
  }

  /** Each side has answered the other: no forged address did that. */
  noteHandshake(slot: number): void {
    const { directionFlags, listOf } = this.table
    if (listOf[slot] !== FlowList.opening) return
    const both = directionFlags[slot * 2]! & directionFlags[slot * 2 + 1]!
    if ((both & (Direction.seen | Direction.acked)) === (Direction.seen | Direction.acked))
      this.lists.move(slot, FlowList.silent)
  }

  /** It sent data, though nothing could be handed on yet. */
  noteData(slot: number): void {
    if (this.table.listOf[slot] === FlowList.opening) this.lists.move(slot, FlowList.silent)
  }

  /** Data of it is handed on. */
  noteDelivery(slot: number): void {
    this.lists.move(slot, FlowList.data)
  }

  /** Ends the streams, once; the row stays for late repetitions. */
  end(slot: number, why: number): void {
    const { flags } = this.table
    if ((flags[slot]! & Flow.closed) !== 0) return
    const wasRead = this.wasRead(slot)
    const isMidMessage = this.owner.ended(slot, why)
    if (isMidMessage) flags[slot]! |= Flow.midMessage
    else flags[slot]! &= ~Flow.midMessage
    flags[slot]! |= Flow.closed
    this.lists.move(slot, FlowList.closed)
    this.open--
    if (wasRead || this.wasRead(slot)) this.notePast(slot)
  }

  /** Ends it, and counts from now how long its row stays. */
  close(slot: number, why: number): void {
    this.end(slot, why)
    this.wheel.cancel(slot)
    this.wheel.schedule(slot, this.nowUs + this.closingUs)
  }

  /** Nothing of it is read any more, and nothing that comes begins it again but a SYN. */
  ignore(slot: number, why: number): void {
    this.end(slot, why)
    this.table.flags[slot]! |= Flow.ignored
  }

  /** The table is full: the least valuable row is evicted. False: none may be. */
  evictOne(): boolean {
    for (let list: number = FlowList.closed; list <= FlowList.silent; list++) {
      const slot = this.lists.first(list)
      if (slot >= 0) {
        this.evict(slot)
        return true
      }
    }
    return this.evictIdle()
  }

  /** Of the connections that sent data, the longest there that has no message in hand, or none that continues. */
  evictIdle(): boolean {
    const { lists, table } = this
    for (let looks = 0; looks < EVICTION_LOOKS; looks++) {
      const slot = lists.first(FlowList.data)
      if (slot < 0) return false
      const isSilent = this.nowUs - table.lastSeenUs[slot]! >= EVICTABLE_AFTER_US
      if (isSilent || !this.owner.isBusy(slot)) {
        this.evict(slot)
        return true
      }
      lists.move(slot, FlowList.data)
    }
    return false
  }

  /** The same where one has to be. */
  evictBusy(): void {
    const slot = this.lists.first(FlowList.data)
    if (slot >= 0) this.evict(slot)
  }

  evict(slot: number): void {
    const flags = this.table.flags[slot]!
    if ((flags & Flow.closed) === 0) this.counters.add(Counter.flowsEvicted)
    this.end(slot, this.codes.evicted)
    this.wheel.cancel(slot)
    // What was delivered must not be delivered again when it is repeated. Floods of connections without data leave nothing.
    const wasRead = (flags & (Flow.recovered | Flow.midMessage)) !== 0 || this.wasRead(slot)
    if (wasRead) this.before.forget(slot, this.nowUs)
    this.removed(slot, wasRead ? this.nowUs : null, (this.table.flags[slot]! & Flow.midMessage) !== 0)
  }

  /** Time passes: what has been silent for too long expires. */
  tick(nowUs: number): void {
    this.nowUs = nowUs
    this.wheel.advance(nowUs, this.lookAtExpiry)
  }

  expireNow(slot: number): void {
    this.wheel.cancel(slot)
    this.expire(slot)
  }

  /** @param onProgress called now and then: a million of them take seconds */
  closeAll(onProgress: () => void): void {
    for (const [i, slot] of this.table.slots().entries()) {
      if (i % CLOSED_AT_ONCE === 0) onProgress()
      this.end(slot, this.codes.input)
      this.wheel.cancel(slot)
      this.removed(slot)
    }
    // The next pass over a file brings the same connections on purpose.
    this.past.clear()
  }

  private timeoutUs(slot: number): number {
    if ((this.table.flags[slot]! & Flow.ignored) !== 0) return this.idleUs
    const list = this.table.listOf[slot]!
    return list === FlowList.closed ? this.closingUs : list === FlowList.opening ? this.openingUs : this.idleUs
  }

  private wasRead(slot: number): boolean {
    const { directionFlags, nextSeq, base } = this.table
    for (let key = slot * 2; key <= slot * 2 + 1; key++) {
      if ((directionFlags[key]! & Direction.known) !== 0 && nextSeq[key] !== base[key]) return true
    }
    return false
  }

  private notePast(slot: number): void {
    const { directionFlags, base, flags, hash } = this.table
    const both = directionFlags[slot * 2]! & directionFlags[slot * 2 + 1]!
    if ((both & Direction.syn) === 0 || (flags[slot]! & Flow.clientKnown) === 0) return
    const client = slot * 2 + ((flags[slot]! & Flow.clientIs1) !== 0 ? 1 : 0)
    this.past.add(hash[slot]! | 0, base[client]! | 0, base[client ^ 1]! | 0)
  }

  private expireOrReschedule(slot: number): void {
    const due = this.table.lastSeenUs[slot]! + this.timeoutUs(slot)
    if (due > this.nowUs) this.wheel.schedule(slot, due)
    else this.expire(slot)
  }

  /** It is off the wheel. */
  private expire(slot: number): void {
    const flags = this.table.flags[slot]!
    const wasOpen = (flags & Flow.closed) === 0
    if (wasOpen) this.counters.add(Counter.flowsExpired)
    this.end(slot, this.codes.expired)
    // A connection that continues after all is still mid-message; so it is after a RST that its receiver ignored.
    const mayGoOn = wasOpen || (flags & Flow.reset) !== 0
    const isMidMessage = mayGoOn && (this.table.flags[slot]! & Flow.midMessage) !== 0
    this.removed(slot, isMidMessage ? this.table.lastSeenUs[slot]! : null, isMidMessage)
  }

  private removed(slot: number, leftAtUs: number | null = null, isMidMessage = false): void {
    this.watched.delete(slot)
    this.lists.move(slot, FlowList.none)
    this.before.remember(slot, leftAtUs, isMidMessage)
    this.table.remove(slot)
  }
}
