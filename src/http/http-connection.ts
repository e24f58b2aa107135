/** HTTP/1 on one captured connection: which side is the client, a PROXY header before it, and where HTTP ends. What is between is the session's. */
import { CONNECTION_BYTES } from '../base/memory-weights.ts'
import { Counter } from '../metrics/counters.ts'
import { Demand, End, GapReason, Phase, type StreamParser, type StreamPiece } from '../reassembly/stream-parser.ts'
import { ClientRole, canBeClient, Evidence, SYSTEM_PORTS } from './client-role.ts'
import { Fault } from './fault.ts'
import type { HttpContext, OpenEvents } from './http-context.ts'
import type { HttpEvents } from './http-events.ts'
import { HttpSession, type SessionOwner } from './http-session.ts'
import { isTlsRecord, type ProtocolName } from './protocol.ts'
import { mayBeProxyHeader, type ProxiedEnds, ProxyHeader, ProxyHeaderReader } from './proxy-header.ts'
import { mayHideAcceptance } from './switching.ts'

/** What a message lost its bytes by, by GapReason. */
const GAP_FAULTS: readonly number[] = Object.assign([] as number[], {
  [GapReason.lost]: Fault.lost,
  [GapReason.truncated]: Fault.truncated,
  [GapReason.urgent]: Fault.urgentData,
  [GapReason.conflict]: Fault.conflictingCopies,
})

export class HttpConnection implements StreamParser, SessionOwner {
  readonly flowHash: number
  readonly beganInMiddle: boolean
  readonly isMidMessage: boolean
  overCounter = -1
  private client = -1
  /** Null while it is not known which side is the client, and where HTTP never began. */
  private session: HttpSession | null = null
  private readonly context: HttpContext
  private readonly ports: readonly [number, number]
  private readonly open: OpenEvents
  /** While it is not known which side is the client. */
  private role: ClientRole | null = null
  /** At the very beginning of a client's stream, where a PROXY header may stand; and while it is read. */
  private isAtStart = false
  private proxyHeader: ProxyHeaderReader | null = null
  private proxied: ProxiedEnds | null = null

  /**
   * @param ports of the endpoints that send in direction 0 and 1
   * @param clientDirection -1 where the start of the connection was not seen
   * @param isMidMessage its first data may lie in the middle of a message or in a tunnel, and is evidence of nothing: nothing is a request
   *   before the server has answered in HTTP
   */
  constructor(
    context: HttpContext,
    flowHash: number,
    ports: readonly [number, number],
    clientDirection: number,
    openEvents: OpenEvents,
    isMidMessage = false,
  ) {
    this.context = context
    this.flowHash = flowHash
    this.ports = ports
    this.open = openEvents
    this.isMidMessage = isMidMessage
    this.beganInMiddle = clientDirection < 0
    context.memory.connection(CONNECTION_BYTES)
    if (clientDirection < 0) {
      if (context.tunnels.has(flowHash)) this.over(Counter.tunnelBytes)
      else this.role = new ClientRole(context, ports, isMidMessage)
      return
    }
    context.tunnels.delete(flowHash)
    // Between equal ports of services either side may serve: whoever sends a request first is the client.
    if (ports[0] === ports[1] && ports[0] < SYSTEM_PORTS) this.role = new ClientRole(context, ports, isMidMessage)
    else {
      this.isAtStart = true
      this.decide(clientDirection, false, false)
    }
  }

  // --- SessionOwner ----------------------------------------------------------------------------------------------------------

  get serverPort(): number {
    return this.ports[this.client ^ 1]!
  }

  openEvents(): HttpEvents {
    return this.open(this.client, this.proxied)
  }

  over(counter: number): void {
    if (this.overCounter < 0) this.session?.stop()
    this.overCounter = counter
  }

  isOther(protocol: ProtocolName, serverPort = this.serverPort): void {
    this.context.protocolCounts.add(protocol, serverPort)
    this.over(Counter.otherProtocolBytes)
  }

  // --- StreamParser --------------------------------------------------------------------------------------------------------

  data(direction: number, piece: StreamPiece): number {
    if (this.isUndecided && !this.tryDecide(direction, piece)) return piece.end - piece.at
    if (this.isAtStart && direction === this.client) return this.firstData(piece)
    if (this.overCounter >= 0) {
      this.context.counters.add(this.overCounter, piece.end - piece.at)
      return piece.end - piece.at
    }
    const session = this.session!
    session.nowUs = piece.timeUs
    return direction === this.client ? session.clientData(piece) : session.serverData(piece)
  }

  gap(direction: number, length: number, why: number): void {
    if (this.isUndecided) this.context.counters.add(Counter.resyncUnproven, this.role!.gap(direction))
    if (!this.isHttp) return
    const session = this.session!
    const fault = GAP_FAULTS[why]!
    if (direction !== this.client) session.serverGap(length, fault)
    else {
      this.proxyHeaderLost()
      session.requests.gap(length, fault)
    }
  }

  end(direction: number, reason: number): void {
    if (!this.isHttp) return
    if (direction === this.client) this.session!.requests.end(reason)
    else this.session!.serverEnd(reason)
  }

  close(reason: number): void {
    const { counters, memory, tunnels } = this.context
    if (this.role !== null) counters.add(Counter.resyncUnproven, this.role.forget())
    if (this.proxyHeader !== null) counters.add(Counter.resyncUnproven, this.proxyHeader.kept.length)
    // A silent tunnel that continues later begins in the middle, and must still be known as one; so must one of which so much was lost
    // that it looks like another connection.
    const mayGoOn = reason === End.expired || reason === End.evicted || reason === End.replaced
    const isUndecided = this.isUndecided
    this.session?.close(reason)
    if (!mayGoOn && !isUndecided) tunnels.delete(this.flowHash)
    memory.connection(-CONNECTION_BYTES)
  }

  demand(direction: number): number {
    return this.isHttp ? this.session!.demand(direction === this.client) : Demand.ready
  }

  giveUpPause(): void {
    if (this.isHttp && this.session!.requests.isWaiting) this.session!.answerIsMissing()
  }

  get phase(): number {
    // Another protocol is recognised again by its own bytes; a tunnel's may be anything.
    if (this.overCounter >= 0) return this.overCounter === Counter.tunnelBytes ? Phase.opaque : Phase.boundary
    if (this.session === null) return Phase.opaque
    const { requests, responses } = this.session
    if (!requests.isIdle) return Phase.message
    if (!requests.isAtBoundary && !requests.isClosed) return Phase.opaque
    // Text in a response is no request where its sender's port is no client's.
    return responses.isUntouched || !canBeClient(this.ports, this.client ^ 1) ? Phase.boundary : Phase.opaque
  }

  get wakeAtUs(): number {
    return this.isHttp ? this.session!.wakeAtUs : Number.POSITIVE_INFINITY
  }

  tick(nowUs: number): void {
    if (this.isHttp) this.session!.tick(nowUs)
  }

  private get isUndecided(): boolean {
    return this.session === null && this.overCounter < 0
  }

  private get isHttp(): boolean {
    return this.session !== null && this.overCounter < 0
  }

  // --- who is the client -----------------------------------------------------------------------------------------------------------

  /** A connection whose start was not seen. False: the piece is passed over, or kept. */
  private tryDecide(direction: number, piece: StreamPiece): boolean {
    const role = this.role!
    const { bytes, at, end } = piece
    const isFirst = role.first(direction)
    const isProven = piece.startsSegment && (isFirst || piece.isAckedTo)
    const mayHide = piece.startsSegment && (this.isMidMessage || !isProven) && this.beganInMiddle
    if (mayHide && mayHideAcceptance(this.context, bytes, at, end, this.isMidMessage)) {
      this.context.tunnels.add(this.flowHash)
      this.over(Counter.tunnelBytes)
      return true
    }
    const isGathering = role.isGathering(direction)
    const seen = role.see(direction, piece, isProven)
    if (seen === Evidence.more) return false
    if (seen === Evidence.none) {
      if (isGathering) this.context.counters.add(Counter.resyncUnproven, role.forget())
      if (isFirst && isTlsRecord(bytes, at, end)) {
        this.isOther('tls', Math.min(this.ports[0], this.ports[1]))
        return true
      }
      this.context.counters.add(Counter.resyncUnproven, end - at)
      return false
    }
    const mayBegin = isGathering || isFirst
    const mayPeerBegin = !role.hasSeen(direction ^ 1)
    const { gathered } = role
    if (seen === Evidence.request) this.decide(direction, mayBegin, mayPeerBegin)
    else this.decide(direction ^ 1, mayPeerBegin, mayBegin)
    role.release()
    if (gathered === null) return true
    if (!isGathering) this.context.counters.add(Counter.resyncUnproven, gathered.length)
    else this.data(direction, gathered.piece)
    return true
  }

  private decide(client: number, requestMayBegin: boolean, responseMayBegin: boolean): void {
    this.client = client
    if (this.context.ports !== null && !this.context.ports.has(this.serverPort)) this.over(Counter.otherProtocolBytes)
    else this.session = new HttpSession(this.context, this, requestMayBegin, responseMayBegin)
  }

  /** The first bytes of a client whose connection was seen from its start. */
  private firstData(piece: StreamPiece): number {
    if (this.proxyHeader === null) {
      if (!this.isHttp || !mayBeProxyHeader(piece)) {
        this.isAtStart = false
        return this.data(this.client, piece)
      }
      this.proxyHeader = new ProxyHeaderReader()
    }
    const header = this.proxyHeader
    const { at, end } = piece
    const result = header.take(piece.bytes, at, end)
    if (result === ProxyHeader.more) return end - at
    this.isAtStart = false
    this.proxyHeader = null
    this.proxied = header.ends
    if (result === ProxyHeader.absent && header.kept.length > 0) this.data(this.client, header.keptPiece(piece))
    if (result === ProxyHeader.malformed) {
      this.isOther('proxyHeader')
      this.context.counters.add(this.overCounter, header.before)
    }
    const taken = header.next - at
    if (header.next === end) return taken
    const { offset, startsSegment } = piece
    piece.at += taken
    piece.offset += taken
    piece.startsSegment = startsSegment && taken === 0
    const more = this.data(this.client, piece)
    piece.at = at
    piece.offset = offset
    piece.startsSegment = startsSegment
    return taken + more
  }

  /** A gap inside the header: what was kept of it is no beginning of a request, and what follows none that needs no proof. */
  private proxyHeaderLost(): void {
    const kept = this.proxyHeader?.keptPiece(null)
    this.isAtStart = false
    this.proxyHeader = null
    if (kept !== undefined && kept.end > 0) this.session!.requests.data(kept)
  }
}
