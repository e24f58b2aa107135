/** A Reassembler with parsers that write down what they get and insist on their contract. */
import { PACKET_DROP_NAMES } from '../../src/base/drop.ts'
import type { PacketView } from '../../src/decapsulation/packet-view.ts'
import { fiveTupleHash } from '../../src/dispatch/hash.ts'
import { ProgressRegister } from '../../src/flow/progress-register.ts'
import type { WatchList } from '../../src/flow/watch-list.ts'
import { Counter, CounterBlock, PACKET_DROPS } from '../../src/metrics/counters.ts'
import { Reassembler, type ReassemblyOptions } from '../../src/reassembly/reassembler.ts'
import {
  Demand,
  End,
  GapReason,
  NO_OFFSET,
  Phase,
  type StreamParser,
  type StreamPiece,
} from '../../src/reassembly/stream-parser.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { reversed, type ViewFields, viewOf } from '../support/views.ts'

export const OPTIONS: ReassemblyOptions = {
  maxFlows: 1000,
  vniInKey: false,
  overlap: 'linux',
  openingTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  closingTimeoutMs: 5000,
  outOfOrderBytes: 1 << 20,
  outOfOrderTotalBytes: 1 << 22,
  reorderWindowPackets: 100,
  reorderWindowMs: 1000,
}

export const SEGMENT_OVERHEAD = 192
export const { fin: FIN, syn: SYN, rst: RST, ack: ACK } = TcpFlag
export const END_NAMES = Object.fromEntries(Object.entries(End).map(([name, code]) => [code, name]))

/** What the log calls a gap, by its reason. */
export const GAP_NAMES = {
  [GapReason.lost]: 'gap',
  [GapReason.truncated]: 'cut',
  [GapReason.urgent]: 'urgent',
  [GapReason.conflict]: 'conflict',
} as Record<number, string>

/** How a parser behaves beyond taking what it gets. */
export interface Temper {
  /** Pieces of this direction wait for what they acknowledge of the other; -1: none do. */
  readonly waitsForPeer?: number
  /** Bytes that `data` takes of a piece before it pauses, by direction; it pauses until `resume` or until it is told to give up. */
  readonly takes?: (direction: number, length: number) => number
}

export class Recorder implements StreamParser {
  /** Deliveries, gaps and ends in order, as text: `0 abc`, `1 gap 5`, `0 end fin`, `close fin`. */
  readonly log: string[] = []
  readonly bytes: [Buffer[], Buffer[]] = [[], []]
  readonly pieces: {
    direction: number
    peerOffset: number
    startsSegment: boolean
    isAckedTo: boolean
    offset: number
  }[] = []
  readonly clientDirection: number
  wakeAtUs = Number.POSITIVE_INFINITY
  phase: number = Phase.message
  isMidMessage = false
  ticks = 0
  isClosed = false
  private readonly temper: Temper
  private readonly waiting = [false, false]
  private readonly hasGivenUp = [false, false]
  private readonly ended = [false, false]
  /** Next offset by direction, once known. */
  readonly next: [number | null, number | null] = [null, null]

  constructor(clientDirection: number, temper: Temper) {
    this.clientDirection = clientDirection
    this.temper = temper
  }

  data(direction: number, piece: StreamPiece): number {
    this.mustBeOpen(direction, 'data')
    const length = piece.end - piece.at
    if (length <= 0) throw new Error('an empty piece')
    const next = this.next[direction]!
    if (this.next[direction] !== null && next !== piece.offset)
      throw new Error(`piece at ${piece.offset} where ${next} is next`)
    if (this.waiting[direction]) throw new Error('data while waiting')
    const peer = this.next[direction ^ 1]!
    if (
      this.temper.waitsForPeer === direction &&
      piece.peerOffset !== NO_OFFSET &&
      this.next[direction ^ 1] !== null &&
      !this.ended[direction ^ 1]
    ) {
      const ahead = piece.peerOffset - peer
      if (ahead > 0 && ahead < 1 << 24) throw new Error(`an answer ${ahead} bytes before its question`)
    }
    const least = this.hasGivenUp[direction] ? 1 : 0
    this.hasGivenUp[direction] = false
    const taken = Math.max(least, Math.min(length, this.temper.takes?.(direction, length) ?? length))
    if (taken < length) this.waiting[direction] = true
    this.next[direction] = piece.offset + taken
    if (taken === 0) return 0
    const bytes = Buffer.from(piece.bytes.subarray(piece.at, piece.at + taken))
    this.bytes[direction]!.push(bytes)
    const { peerOffset, offset, startsSegment, isAckedTo } = piece
    this.pieces.push({ direction, peerOffset, startsSegment, isAckedTo, offset })
    this.log.push(`${direction} ${bytes.toString('latin1')}`)
    return taken
  }

  gap(direction: number, length: number, why: number): void {
    this.mustBeOpen(direction, 'gap')
    if (length <= 0 || length > 1 << 24) throw new Error(`a gap of ${length} bytes`)
    if (this.next[direction] !== null) this.next[direction]! += length
    this.log.push(`${direction} ${GAP_NAMES[why]} ${length}`)
  }

  end(direction: number, reason: number): void {
    this.mustBeOpen(direction, 'end')
    this.ended[direction] = true
    this.log.push(`${direction} end ${END_NAMES[reason]}`)
  }

  close(reason: number): void {
    if (this.isClosed) throw new Error('closed twice')
    if (!this.ended[0] || !this.ended[1]) throw new Error('closed before both directions ended')
    this.isClosed = true
    this.log.push(`close ${END_NAMES[reason]}`)
  }

  demand(direction: number): number {
    if (this.waiting[direction]) return Demand.paused
    return this.temper.waitsForPeer === direction ? Demand.afterPeer : Demand.ready
  }

  giveUpPause(direction: number): void {
    this.hasGivenUp[direction] = true
    this.waiting[direction] = false
  }

  resume(): void {
    this.waiting.fill(false)
  }

  tick(): void {
    this.ticks++
  }

  /** What a direction got, with `<5>` for a gap of five bytes. */
  text(direction: number): string {
    const own = this.log.filter((line) => line.startsWith(`${direction} `) && !line.startsWith(`${direction} end`))
    return own.map((line) => line.slice(2).replace(/^(gap|cut|urgent|conflict) (\d+)$/, '<$2>')).join('')
  }

  private mustBeOpen(direction: number, what: string): void {
    if (this.isClosed) throw new Error(`${what} behind close`)
    if (this.ended[direction]) throw new Error(`${what} behind the end of direction ${direction}`)
  }
}

/** Private parts, for invariants that show nowhere else. */
export function privates<T>(object: unknown): T {
  return object as T
}

export class Rig {
  readonly counters = new CounterBlock()
  readonly reassembler: Reassembler
  readonly streams: Recorder[] = []
  readonly options: ReassemblyOptions
  nowUs = 1_000_000_000_000
  given = 0
  private largest = 0

  /** Most parsers open at once. */
  mostOpen = Number.POSITIVE_INFINITY

  constructor(options: Partial<ReassemblyOptions> = {}, temper: Temper = {}, progress = new ProgressRegister()) {
    this.options = { ...OPTIONS, ...options }
    const factory = {
      mayOpen: () => this.streams.filter(({ isClosed }) => !isClosed).length < this.mostOpen,
      open: (_slot: number, clientDirection: number, _nowUs: number, isMidMessage: boolean) => {
        const recorder = new Recorder(clientDirection, temper)
        recorder.isMidMessage = isMidMessage
        this.streams.push(recorder)
        return recorder
      },
    }
    this.reassembler = new Reassembler(this.options, factory, this.counters, progress)
  }

  /** The first connection's parser. */
  get stream(): Recorder {
    return this.streams[0]!
  }

  packet(view: PacketView): void {
    view.hash = fiveTupleHash(view.bytes, view.ipAt, view.ipVersion, view.tcpAt, 0, 1)
    view.timeUs = this.nowUs
    view.nowUs = this.nowUs
    this.given++
    this.largest = Math.max(this.largest, view.end - view.tcpAt + SEGMENT_OVERHEAD)
    this.reassembler.packet(view)
    this.checkAccounts()
  }

  /** A packet of the client to port 80; ACK is set unless `flags` says otherwise. */
  client(fields: ViewFields): void {
    this.packet(viewOf({ sourcePort: 40_000, destinationPort: 80, ...fields }))
  }

  server(fields: ViewFields): void {
    const { sourcePort = 40_000, destinationPort = 80, ...rest } = fields
    this.packet(
      viewOf({ ...reversed({ source: '10.0.0.1', destination: '10.0.0.2', sourcePort, destinationPort }), ...rest }),
    )
  }

  /** SYN, SYN-ACK, ACK. */
  handshake(clientIsn: number, serverIsn: number, fields: ViewFields = {}): void {
    this.client({ ...fields, flags: SYN, seq: clientIsn })
    this.server({ ...fields, flags: SYN | ACK, seq: serverIsn, ack: clientIsn + 1 })
    this.client({ ...fields, flags: ACK, seq: clientIsn + 1, ack: serverIsn + 1 })
  }

  pass(us: number): void {
    this.nowUs += us
  }

  tick(us = 0): void {
    this.pass(us)
    this.reassembler.tick(this.nowUs)
    this.checkAccounts()
  }

  get(name: keyof typeof Counter): number {
    return this.counters.get(Counter[name])
  }

  /** Slots that are looked at between packets. */
  get watched(): WatchList {
    return privates<{ watched: WatchList }>(this.reassembler).watched
  }

  /** Client ports of the flows in the table. */
  ports(): number[] {
    const { table } = this.reassembler
    return [...table.slots()].map((slot) =>
      table.portOf(slot, 0) === 80 ? table.portOf(slot, 1) : table.portOf(slot, 0),
    )
  }

  private get heads(): Int32Array {
    return privates<{ lifecycle: { wheel: { heads: Int32Array } } }>(this.reassembler).lifecycle.wheel.heads
  }

  /** Ends the input; whatever was held is gone. */
  closeAll(): void {
    this.reassembler.closeAll()
    this.checkAccounts()
    const { table, open } = this.reassembler
    const left = {
      size: table.size,
      open,
      stored: this.get('outOfOrderBytes'),
      watched: this.watched.size,
      closed: this.streams.every((s) => s.isClosed),
    }
    if (left.size + left.open + left.stored + left.watched !== 0 || !left.closed)
      throw new Error(`left: ${JSON.stringify(left)}`)
  }

  private checkAccounts(): void {
    const drops = this.counters.values
      .subarray(PACKET_DROPS, PACKET_DROPS + PACKET_DROP_NAMES.length)
      .reduce((a, b) => a + b, 0)
    if (this.get('packetsProcessed') + drops !== this.given)
      throw new Error(`${this.given} packets given, ${this.get('packetsProcessed')} processed`)
    const stored = this.get('outOfOrderBytes')
    if (stored < 0) throw new Error(`${stored} bytes stored`)
    if (stored > this.options.outOfOrderTotalBytes + this.largest)
      throw new Error(`${stored} bytes stored of ${this.options.outOfOrderTotalBytes}`)
    const { open, table } = this.reassembler
    if (open < 0 || open > table.size) throw new Error(`${open} flows open of ${table.size}`)
  }

  /** Every flow in the table stands on the wheel exactly once. */
  checkWheel(): void {
    const { table } = this.reassembler
    const seen = new Set<number>()
    for (const head of this.heads) {
      for (let slot = head, previous = -1; slot >= 0; previous = slot, slot = table.wheelNext[slot]!) {
        if (seen.has(slot)) throw new Error(`slot ${slot} stands on the wheel twice`)
        if (table.wheelPrevious[slot] !== previous)
          throw new Error(`slot ${slot} points back to ${table.wheelPrevious[slot]}`)
        seen.add(slot)
      }
    }
    if (seen.size !== table.size) throw new Error(`${seen.size} flows on the wheel, ${table.size} in the table`)
  }
}
