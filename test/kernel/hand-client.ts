/**
 * One connection of a client that speaks TCP by hand: honest unless told otherwise. Numbers are 32 bits, signed; positions in the stream
 * are offsets from its first byte.
 */

import { seqAdd, seqDistance } from '../../src/wire/seq.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import {
  type Endpoint,
  findOption,
  Option,
  option,
  type Seen,
  type SegmentFields,
  segment,
  timestamps,
} from './segment.ts'

export interface ClientOptions {
  readonly hasTimestamps: boolean
  readonly hasSack: boolean
  /** Null: not offered. */
  readonly windowScale: number | null
  readonly mss: number
}

export interface HandSegment extends Omit<SegmentFields, 'options'> {
  /** Offset in the stream; `seq` goes before it, `next` where neither is given. */
  readonly at?: number
  /** Null: without the option, though it was agreed on. */
  readonly timestamp?: number | null
  readonly extraOptions?: Buffer
}

const HALF = 1 << 30

export class HandClient {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly options: ClientOptions
  readonly iss: number
  /** Offset behind the last byte that was sent without a hole before it. */
  next = 0
  /** Of the receiver's stream, absolute. */
  rcvNxt = 0
  irs = 0
  /** The receiver's: where its window ends, absolute, and the latest acknowledgement. */
  windowEnd = 0
  peerAck = 0
  peerScale = 0
  /** Timestamp clock; the latest value of the receiver's. */
  clock: number
  tsRecent = 0
  hasTimestamps = false
  hasSack = false
  isOpen = false
  isReset = false
  finSeen = false
  owesAck = false
  /** Cookie that the receiver gave for Fast Open. */
  cookie: Buffer | null = null
  /** Options of MPTCP that the receiver sent, the latest first. */
  readonly mptcp: Buffer[] = []
  /** Applied to each packet on its way. */
  damage: ((packet: Buffer) => Buffer) | null = null
  private readonly transmit: (packet: Buffer) => void

  constructor(
    local: Endpoint,
    remote: Endpoint,
    options: ClientOptions,
    iss: number,
    clock: number,
    transmit: (packet: Buffer) => void,
  ) {
    this.local = local
    this.remote = remote
    this.options = options
    this.iss = iss | 0
    this.clock = clock
    this.transmit = transmit
  }

  seqOf(offset: number): number {
    return seqAdd(this.iss, 1 + offset)
  }

  synOptions(): Buffer {
    const { mss, hasSack, hasTimestamps, windowScale } = this.options
    const list: Buffer[] = []
    if (mss > 0) list.push(option(Option.mss, Buffer.from([mss >> 8, mss & 255])))
    if (hasSack) list.push(option(Option.sackPermitted, Buffer.alloc(0)))
    if (hasTimestamps) list.push(timestamps(this.clock++, 0))
    if (windowScale !== null) list.push(option(Option.windowScale, Buffer.from([windowScale])))
    return Buffer.concat(list)
  }

  syn(f: Omit<HandSegment, 'at'> = {}): void {
    const options = Buffer.concat([this.synOptions(), f.extraOptions ?? Buffer.alloc(0)])
    this.raw({ seq: this.iss, ack: 0, flags: TcpFlag.syn, window: 0xfaf0, ...f, options })
  }

  /** A segment of this connection; fields left out are as they should be. */
  send(f: HandSegment = {}): void {
    const { at, timestamp, extraOptions, ...fields } = f
    const list: Buffer[] = []
    if (this.hasTimestamps && timestamp !== null) list.push(timestamps(timestamp ?? this.clock++, this.tsRecent))
    if (extraOptions !== undefined) list.push(extraOptions)
    const flags = TcpFlag.ack | ((f.data?.length ?? 0) > 0 ? TcpFlag.psh : 0)
    this.owesAck = false
    this.raw({
      seq: this.seqOf(at ?? this.next),
      ack: this.rcvNxt,
      flags,
      window: 0xfaf0,
      ...fields,
      options: Buffer.concat(list),
    })
  }

  raw(f: SegmentFields): void {
    const packet = segment(this.local, this.remote, f)
    this.transmit(this.damage === null ? packet : this.damage(packet))
  }

  /** What the receiver sent. */
  receive(seen: Seen): void {
    const { flags } = seen
    const time = findOption(seen, Option.timestamps)
    if ((flags & TcpFlag.rst) !== 0) {
      this.isReset = true
      return
    }
    if ((flags & TcpFlag.syn) !== 0) {
      if (this.isOpen) return
      this.irs = seen.seq
      this.rcvNxt = seqAdd(seen.seq, 1)
      this.hasTimestamps = this.options.hasTimestamps && time !== null
      this.hasSack = this.options.hasSack && findOption(seen, Option.sackPermitted) !== null
      const scale = findOption(seen, Option.windowScale)
      this.peerScale = this.options.windowScale !== null && scale !== null ? scale[0]! : 0
      this.cookie = findOption(seen, Option.fastOpen) ?? this.cookie
      this.isOpen = (flags & TcpFlag.ack) !== 0
      this.windowEnd = seqAdd(seen.ack, seen.window)
    }
    const mptcp = findOption(seen, Option.mptcp)
    if (mptcp !== null) this.mptcp.unshift(mptcp)
    if (time !== null) this.tsRecent = time.readInt32BE(0)
    if ((flags & TcpFlag.ack) !== 0 && (flags & TcpFlag.syn) === 0) {
      this.peerAck = seen.ack
      this.windowEnd = seqAdd(seen.ack, seen.window << this.peerScale)
    }
    const { length } = seen.data
    if (seen.seq === this.rcvNxt) {
      this.rcvNxt = seqAdd(this.rcvNxt, length)
      if ((flags & TcpFlag.fin) !== 0 && !this.finSeen) {
        this.finSeen = true
        this.rcvNxt = seqAdd(this.rcvNxt, 1)
        this.owesAck = true
      }
    }
    if (length > 0) this.owesAck = true
  }

  /** Bytes that the receiver's window has room for behind `next`. */
  get room(): number {
    return Math.max(0, Math.min(HALF, seqDistance(this.seqOf(this.next), this.windowEnd)))
  }
}
