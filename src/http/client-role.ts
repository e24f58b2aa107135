/**
 * Which side is the client. Where the handshake was seen it says so; else the first whole request line or status line does, at the beginning
 * of a segment that the other side had acknowledged up to, or that is the first data of its side.
 */
import type { StreamPiece } from '../reassembly/stream-parser.ts'
import { type LineProbe, Probe, probeRequestLine, probeStatusLine, RequestLineProbe } from './first-line.ts'
import { Gathered } from './gathered.ts'

/** Ports below are for services (RFC 6335 section 6): clients are not given them. */
export const SYSTEM_PORTS = 1024

/** What a piece says about who is the client. */
export const Evidence = {
  none: 0,
  /** Its sender is the client: a request line. */
  request: 1,
  /** Its sender is the server: a status line. */
  response: 2,
  /** A beginning of a request line: the next piece of the same side decides. Its bytes are kept. */
  more: 3,
} as const

export class ClientRole {
  private readonly ports: readonly [number, number]
  /** By direction: its first data of a connection that began in the middle was seen. */
  private readonly seenData: [boolean, boolean]
  /** What was seen of it before ended inside a message: a request line is no evidence then. */
  private readonly isMidMessage: boolean
  /** The handshake and the ports contradict each other. */
  trustsNoPort = false
  /** Of the last piece: whether it was the first of its direction. */
  isFirst = false
  /** The beginning of a request line, and the side it came from. */
  gathered: Gathered | null = null
  private probe: LineProbe | null = null
  private gatheredFrom = -1
  private wasFirst = false

  constructor(ports: readonly [number, number], isMidMessage: boolean) {
    this.ports = ports
    this.isMidMessage = isMidMessage
    this.seenData = [isMidMessage, isMidMessage]
  }

  /**
   * A request does not come from a system port to a port above: what looks like one there is part of an answer, the text of a request in a
   * download, say, whoever put it there.
   */
  canBeClient(direction: number): boolean {
    if (this.trustsNoPort) return true
    return this.ports[direction]! >= SYSTEM_PORTS || this.ports[direction ^ 1]! < SYSTEM_PORTS
  }

  hasSeen(direction: number): boolean {
    return this.seenData[direction]!
  }

  /** Returns how many bytes of it were gathered in vain. */
  gap(direction: number): number {
    this.seenData[direction] = true
    return direction === this.gatheredFrom ? this.forget() : 0
  }

  /** One of Evidence. With `request` the gathered bytes, if any, come in front of the piece. */
  see(direction: number, piece: StreamPiece, isProven: boolean): number {
    const { bytes, at, end } = piece
    if (this.gathered !== null && direction === this.gatheredFrom) {
      const seen = this.probe!.feed(bytes, at, end)
      if (seen === Probe.yes) {
        this.isFirst = this.wasFirst
        return Evidence.request
      }
      if (seen === Probe.more) {
        this.gathered.append(bytes, at, end)
        return Evidence.more
      }
      return Evidence.none
    }
    if (!isProven) return Evidence.none
    if (!this.isMidMessage && this.canBeClient(direction)) {
      const seen = probeRequestLine(bytes, at, end)
      if (seen === Probe.yes) return Evidence.request
      if (seen === Probe.more && this.gathered === null) {
        this.gather(direction, piece)
        return Evidence.more
      }
    }
    const isAnswer = this.canBeClient(direction ^ 1) && probeStatusLine(bytes, at, end) === Probe.yes
    return isAnswer ? Evidence.response : Evidence.none
  }

  /** The piece is of a side whose data counts from here on. Returns whether it is the first of it. */
  first(direction: number): boolean {
    this.isFirst = !this.seenData[direction]
    this.seenData[direction] = true
    return this.isFirst
  }

  /** The gathered bytes are no request. Returns how many they are. */
  forget(): number {
    const bytes = this.gathered?.length ?? 0
    this.gathered = null
    this.probe = null
    this.gatheredFrom = -1
    return bytes
  }

  /** Whether gathered bytes are of this side. */
  isGathering(direction: number): boolean {
    return this.gathered !== null && direction === this.gatheredFrom
  }

  private gather(direction: number, piece: StreamPiece): void {
    this.gathered = new Gathered(piece, piece.at)
    this.gathered.append(piece.bytes, piece.at, piece.end)
    const probe = new RequestLineProbe()
    probe.feed(piece.bytes, piece.at, piece.end)
    this.probe = probe
    this.gatheredFrom = direction
    this.wasFirst = this.isFirst
  }
}
