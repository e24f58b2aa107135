/**
 * Which side is the client. Where the handshake was seen it says so; else the first whole request line or status line does, at the beginning
 * of a segment that the other side had acknowledged up to, or that is the first data of its side.
 */
import type { StreamPiece } from '../reassembly/stream-parser.ts'
import {
  type LineProbe,
  Probe,
  probeRequestLine,
  probeStatusLine,
  RequestLineProbe,
  StatusLineProbe,
} from './first-line.ts'
import { Gathered } from './gathered.ts'
import { MESSAGE_OVERHEAD, type Reservation, type ReservationOwner } from './http-memory.ts'
import type { ParserContext } from './parser-context.ts'

/** Ports below are for services (RFC 6335 section 6): clients are not given them. */
export const SYSTEM_PORTS = 1024

/**
 * A request does not come from a system port to a port above: what looks like one there is part of a response, the text of a request in a
 * download, say, whoever put it there.
 */
export function canBeClient(ports: readonly [number, number], direction: number): boolean {
  return ports[direction]! >= SYSTEM_PORTS || ports[direction ^ 1]! < SYSTEM_PORTS
}

/** What a piece says about who is the client. */
export const Evidence = {
  none: 0,
  /** Its sender is the client: a request line. */
  request: 1,
  /** Its sender is the server: a status line. */
  response: 2,
  /** A beginning of one of the two: the next piece of the same side decides. Its bytes are kept. */
  more: 3,
} as const

export class ClientRole implements ReservationOwner {
  private readonly context: ParserContext
  private readonly ports: readonly [number, number]
  /** By direction: its first data of a connection that began in the middle was seen. */
  private readonly seenData: [boolean, boolean]
  /** What was seen of it before ended inside a message: a request line is no evidence then. */
  private readonly isMidMessage: boolean
  /** Of the last piece: whether it was the first of its direction. */
  isFirst = false
  /** The beginning of a first line, and the side it came from. */
  gathered: Gathered | null = null
  private request: LineProbe | null = null
  private response: LineProbe | null = null
  private gatheredFrom = -1
  private reservation: Reservation | null = null
  private evictedBytes = 0

  constructor(context: ParserContext, ports: readonly [number, number], isMidMessage: boolean) {
    this.context = context
    this.ports = ports
    this.isMidMessage = isMidMessage
    this.seenData = [isMidMessage, isMidMessage]
  }

  hasSeen(direction: number): boolean {
    return this.seenData[direction]!
  }

  /** Returns how many bytes of it were gathered in vain. */
  gap(direction: number): number {
    this.seenData[direction] = true
    return direction === this.gatheredFrom ? this.forget() : 0
  }

  /** One of Evidence. With `request` and `response` gathered bytes of the same side come before the piece. */
  see(direction: number, piece: StreamPiece, isProven: boolean): number {
    const { bytes, at, end } = piece
    if (this.isGathering(direction)) {
      const seen = this.feed(bytes, at, end)
      return seen === Evidence.more && !this.keep(piece) ? Evidence.none : seen
    }
    if (!isProven) return Evidence.none
    if (this.gathered !== null)
      return evidenceOf(this.probeRequest(direction, piece), this.probeStatus(direction, piece))
    const request = this.probeRequest(direction, piece)
    const response = this.probeStatus(direction, piece)
    if (request === Probe.more || response === Probe.more) this.gather(direction, piece, request, response)
    return evidenceOf(request, response, Evidence.more)
  }

  /** The piece is of a side whose data counts from here on. Returns whether it is the first of it. */
  first(direction: number): boolean {
    this.isFirst = !this.seenData[direction]
    this.seenData[direction] = true
    return this.isFirst
  }

  /** ReservationOwner: what may be the beginning of a line has to make room. */
  evict(): void {
    this.reservation = null
    this.evictedBytes = this.forget()
  }

  /** The gathered bytes are no first line. Returns how many they are. */
  forget(): number {
    const bytes = this.evictedBytes + (this.gathered?.length ?? 0)
    this.evictedBytes = 0
    this.release()
    this.gathered = null
    this.gatheredFrom = -1
    return bytes
  }

  /** Whether gathered bytes are of this side. */
  isGathering(direction: number): boolean {
    return this.gathered !== null && direction === this.gatheredFrom
  }

  private gather(direction: number, piece: StreamPiece, request: number, response: number): void {
    const { bytes, at, end } = piece
    this.gathered = new Gathered(piece, at)
    this.keep(piece)
    this.request = request === Probe.more ? new RequestLineProbe() : null
    this.response = response === Probe.more ? new StatusLineProbe() : null
    this.feed(bytes, at, end)
    this.gatheredFrom = direction
  }

  /** False: no line is as long as that. */
  private keep({ bytes, at, end }: StreamPiece): boolean {
    const gathered = this.gathered!
    const { memory, maxHeadBytes } = this.context
    if (gathered.length + (end - at) > maxHeadBytes) return false
    gathered.append(bytes, at, end)
    this.reservation ??= memory.open(this)
    memory.resize(this.reservation, gathered.capacity + MESSAGE_OVERHEAD)
    return true
  }

  /** The gathered bytes were read, or given up. */
  release(): void {
    this.gathered = null
    if (this.reservation !== null) this.context.memory.close(this.reservation)
    this.reservation = null
  }

  private feed(bytes: Buffer, at: number, end: number): number {
    const request = this.request?.feed(bytes, at, end) ?? Probe.no
    const response = this.response?.feed(bytes, at, end) ?? Probe.no
    return evidenceOf(request, response, Evidence.more)
  }

  private probeRequest(direction: number, { bytes, at, end }: StreamPiece): number {
    return !this.isMidMessage && canBeClient(this.ports, direction) ? probeRequestLine(bytes, at, end) : Probe.no
  }

  private probeStatus(direction: number, { bytes, at, end }: StreamPiece): number {
    return canBeClient(this.ports, direction ^ 1) ? probeStatusLine(bytes, at, end) : Probe.no
  }
}

/** @param undecided what a beginning of a line is */
function evidenceOf(request: number, response: number, undecided: number = Evidence.none): number {
  if (request === Probe.yes) return Evidence.request
  if (response === Probe.yes) return Evidence.response
  return request === Probe.more || response === Probe.more ? undecided : Evidence.none
}
