/**
 * Order of replay: one lane per captured connection, and a ring of the lanes that may send now.
 *
 * A lane's requests leave one at a time, in capture order; a lane that waits for its answer is not in the ring, so it holds
 * up no other. With `inOrder` false a lane stays in the ring while it has requests, whatever is in flight.
 *
 * Invariant: a lane is in the ring exactly when it has a queued request and (not `inOrder` or nothing in flight).
 */
import type { OutgoingRequest } from './outgoing-request.ts'

export class Lane {
  readonly id: number
  /** First and last queued request. */
  head: OutgoingRequest | null = null
  tail: OutgoingRequest | null = null
  inFlight = 0
  /** Queued and in flight. */
  held = 0
  /** The captured connection is gone. */
  isClosed = false
  isReady = false
  /** Next in the ring. */
  nextReady: Lane | null = null
  /** The wire engine's: header lines that are equal for all requests of the connection. */
  forwarded: Uint8Array | null = null

  constructor(id: number) {
    this.id = id
  }
}

export class Lanes {
  private readonly byConnection = new Map<number, Lane>()
  private readonly inOrder: boolean
  private first: Lane | null = null
  private last: Lane | null = null
  /** Lanes that have a queued request. */
  private waiting = 0
  /** Requests queued, not those in flight. */
  queued = 0
  /** Lanes whose captured connection is gone and that still hold requests. */
  unsettled = 0

  constructor(inOrder: boolean) {
    this.inOrder = inOrder
  }

  /** Lanes in memory: those that hold requests, and those of open connections that sent some. */
  get size(): number {
    return this.byConnection.size
  }

  get hasReady(): boolean {
    return this.first !== null
  }

  /** Queued requests that could be in flight together, once those before them are answered. */
  get breadth(): number {
    return this.inOrder ? this.waiting : this.queued
  }

  /** The lane of a connection, made on first use. */
  of(connectionId: number): Lane {
    let lane = this.byConnection.get(connectionId)
    if (lane === undefined) {
      lane = new Lane(connectionId)
      this.byConnection.set(connectionId, lane)
    }
    return lane
  }

  /** Adds a request behind the others of its lane. */
  append(request: OutgoingRequest): void {
    const lane = request.lane
    if (lane.tail === null) {
      lane.head = request
      this.waiting++
    } else lane.tail.next = request
    lane.tail = request
    lane.held++
    this.queued++
    this.makeReady(lane)
  }

  /** Takes the first request of the lane whose turn it is; call only when `hasReady`. It is then in flight. */
  takeNext(): OutgoingRequest {
    const lane = this.first!
    this.first = lane.nextReady
    if (this.first === null) this.last = null
    lane.nextReady = null
    lane.isReady = false
    const request = this.takeHead(lane)
    lane.inFlight++
    this.makeReady(lane)
    return request
  }

  /** A request that was in flight has ended. */
  settled(request: OutgoingRequest): void {
    const lane = request.lane
    lane.inFlight--
    lane.held--
    this.makeReady(lane)
    this.forgetWhenDone(lane)
  }

  /** A request that was in flight is to be sent again, before everything else. */
  putBack(request: OutgoingRequest): void {
    const lane = request.lane
    lane.inFlight--
    request.next = lane.head
    lane.head = request
    if (lane.tail === null) {
      lane.tail = request
      this.waiting++
    }
    this.queued++
    if (lane.isReady || (this.inOrder && lane.inFlight > 0)) return
    lane.isReady = true
    lane.nextReady = this.first
    this.first = lane
    if (this.last === null) this.last = lane
  }

  /** Takes out queued requests of ready lanes that were queued at or before `limitUs`, and hands each to `dropped`. */
  dropQueuedUntil(limitUs: number, dropped: (request: OutgoingRequest) => void): void {
    let lane = this.first
    this.first = null
    this.last = null
    while (lane !== null) {
      const next: Lane | null = lane.nextReady
      lane.nextReady = null
      lane.isReady = false
      this.dropFrom(lane, limitUs, dropped)
      lane = next
    }
  }

  /** Takes out every queued request, also of lanes that wait for an answer. */
  dropAllQueued(dropped: (request: OutgoingRequest) => void): void {
    this.first = null
    this.last = null
    for (const lane of [...this.byConnection.values()]) {
      lane.nextReady = null
      lane.isReady = false
      this.dropFrom(lane, Number.POSITIVE_INFINITY, dropped)
    }
  }

  /** No more requests will come on this connection. */
  connectionClosed(connectionId: number): void {
    const lane = this.byConnection.get(connectionId)
    if (lane === undefined || lane.isClosed) return
    lane.isClosed = true
    if (lane.held > 0) this.unsettled++
    else this.byConnection.delete(connectionId)
  }

  private dropFrom(lane: Lane, limitUs: number, dropped: (request: OutgoingRequest) => void): void {
    const before = lane.held
    while (lane.head !== null && lane.head.queuedUs <= limitUs) {
      const request = this.takeHead(lane)
      lane.held--
      dropped(request)
    }
    this.makeReady(lane)
    if (lane.held < before) this.forgetWhenDone(lane)
  }

  private takeHead(lane: Lane): OutgoingRequest {
    const request = lane.head!
    lane.head = request.next
    if (lane.head === null) {
      lane.tail = null
      this.waiting--
    }
    request.next = null
    this.queued--
    return request
  }

  private makeReady(lane: Lane): void {
    if (lane.isReady || lane.head === null || (this.inOrder && lane.inFlight > 0)) return
    lane.isReady = true
    if (this.last === null) this.first = lane
    else this.last.nextReady = lane
    this.last = lane
  }

  private forgetWhenDone(lane: Lane): void {
    if (!lane.isClosed || lane.held > 0) return
    this.unsettled--
    this.byConnection.delete(lane.id)
  }
}
