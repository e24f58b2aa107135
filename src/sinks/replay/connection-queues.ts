/**
 * What waits to be sent: one queue per captured connection, and a ring of the queues that may send now.
 *
 * A queue's requests leave one at a time, in capture order; a queue that waits for an answer is not in the ring, so it holds
 * up no other. With `inOrder` false a queue stays in the ring while it has requests, whatever is in flight. A queue that has
 * sent goes to the end of the ring: connections take turns.
 *
 * Invariant: a queue is in the ring exactly when it has a request and (not `inOrder` or nothing in flight).
 */
import type { OutgoingRequest } from './outgoing-request.ts'
import { byteClassOf, SizeEntry, SizeIndex } from './size-index.ts'

export class ConnectionQueue {
  /** The captured connection's. */
  readonly id: number
  /** First and last waiting request. */
  head: OutgoingRequest | null = null
  tail: OutgoingRequest | null = null
  /** Waiting requests, and their bytes. */
  queued = 0
  queuedBytes = 0
  inFlight = 0
  /** The captured connection is gone. */
  isClosed = false
  isReady = false
  /** Neighbours in the ring. */
  nextReady: ConnectionQueue | null = null
  previousReady: ConnectionQueue | null = null
  readonly byRequests = new SizeEntry<ConnectionQueue>(this)
  readonly byBytes = new SizeEntry<ConnectionQueue>(this)

  constructor(id: number) {
    this.id = id
  }

  get held(): number {
    return this.queued + this.inFlight
  }
}

export class ConnectionQueues {
  private readonly byConnection = new Map<number, ConnectionQueue>()
  private readonly inOrder: boolean
  /** Kept from the first call of `longest` or `largest` on, as is the order of change among equals: a queue that was never full pays nothing for them. */
  private isRanked = false
  private readonly ranksByRequests = new SizeIndex<ConnectionQueue>()
  private readonly ranksByBytes = new SizeIndex<ConnectionQueue>()
  private first: ConnectionQueue | null = null
  private last: ConnectionQueue | null = null
  /** Queues that have a request. */
  private waiting = 0
  /** Requests that wait, not those in flight, and their bytes. */
  queued = 0
  queuedBytes = 0
  /** Queues whose captured connection is gone and that still hold requests. */
  unsettled = 0

  /** @param inOrder the requests of a connection leave one at a time */
  constructor(inOrder: boolean) {
    this.inOrder = inOrder
  }

  /** Queues in memory: those that hold requests, and those of open connections that sent some. */
  get size(): number {
    return this.byConnection.size
  }

  get hasReady(): boolean {
    return this.first !== null
  }

  /** Waiting requests that could be in flight together, once those before them are answered. */
  get breadth(): number {
    return this.inOrder ? this.waiting : this.queued
  }

  /** A queue with the most requests; of several the one that changed last. Null while nothing waits. */
  get longest(): ConnectionQueue | null {
    this.startRanking()
    return this.ranksByRequests.largest
  }

  /** A queue with the most bytes, to an eighth; of several the one that changed last. Null while nothing waits. */
  get largest(): ConnectionQueue | null {
    this.startRanking()
    return this.ranksByBytes.largest
  }

  /** The queue of a connection, where it has one. */
  find(connectionId: number): ConnectionQueue | null {
    return this.byConnection.get(connectionId) ?? null
  }

  /** Whether a request of this connection could leave before any that wait. @param queue null: the connection has none yet */
  isNext(queue: ConnectionQueue | null): boolean {
    return this.first === null && (queue === null || !this.inOrder || queue.held === 0)
  }

  /** Adds a request behind the others of its connection. */
  append(request: OutgoingRequest, connectionId: number): void {
    const queue = this.of(connectionId)
    request.queue = queue
    request.previous = queue.tail
    if (queue.tail === null) queue.head = request
    else queue.tail.next = request
    queue.tail = request
    this.added(queue, request)
    this.makeReady(queue)
  }

  /** Takes the first request of the queue whose turn it is; call only when `hasReady`. It is then in flight. */
  takeNext(): OutgoingRequest {
    const queue = this.first!
    this.leaveRing(queue)
    const request = queue.head!
    this.remove(queue, request)
    queue.inFlight++
    this.makeReady(queue)
    return request
  }

  /** A request that was in flight has ended. */
  settled(request: OutgoingRequest): void {
    const queue = request.queue!
    queue.inFlight--
    this.makeReady(queue)
    this.forgetWhenDone(queue)
  }

  /** A request that was in flight is to be sent again, before everything else. */
  putBack(request: OutgoingRequest): void {
    const queue = request.queue!
    queue.inFlight--
    request.next = queue.head
    if (queue.head === null) queue.tail = request
    else queue.head.previous = request
    queue.head = request
    this.added(queue, request)
    if (queue.isReady || (this.inOrder && queue.inFlight > 0)) return
    queue.isReady = true
    queue.nextReady = this.first
    if (this.first === null) this.last = queue
    else this.first.previousReady = queue
    this.first = queue
  }

  /** Takes out the request that a queue got last: what waits before it stays an unbroken beginning. @param queue has one */
  dropNewest(queue: ConnectionQueue): OutgoingRequest {
    const request = queue.tail!
    this.remove(queue, request)
    if (queue.head === null && queue.isReady) this.leaveRing(queue)
    this.forgetWhenDone(queue)
    return request
  }

  /** Takes out requests of ready queues that were queued at or before `limitUs`, and hands each to `dropped`. */
  dropQueuedUntil(limitUs: number, dropped: (request: OutgoingRequest) => void): void {
    let queue = this.first
    while (queue !== null) {
      const next: ConnectionQueue | null = queue.nextReady
      this.dropFrom(queue, limitUs, dropped)
      queue = next
    }
  }

  /** Takes out every waiting request, also of queues that wait for an answer. */
  dropAllQueued(dropped: (request: OutgoingRequest) => void): void {
    for (const queue of [...this.byConnection.values()]) this.dropFrom(queue, Number.POSITIVE_INFINITY, dropped)
  }

  /** No more requests will come on this connection. */
  connectionClosed(connectionId: number): void {
    const queue = this.find(connectionId)
    if (queue === null || queue.isClosed) return
    queue.isClosed = true
    if (queue.held > 0) this.unsettled++
    else this.byConnection.delete(connectionId)
  }

  private of(connectionId: number): ConnectionQueue {
    let queue = this.byConnection.get(connectionId)
    if (queue === undefined) {
      queue = new ConnectionQueue(connectionId)
      this.byConnection.set(connectionId, queue)
    }
    return queue
  }

  private dropFrom(queue: ConnectionQueue, limitUs: number, dropped: (request: OutgoingRequest) => void): void {
    if (queue.head === null) return
    while (queue.head !== null && queue.head.queuedUs <= limitUs) {
      const request = queue.head
      this.remove(queue, request)
      dropped(request)
    }
    if (queue.head !== null) return
    if (queue.isReady) this.leaveRing(queue)
    this.forgetWhenDone(queue)
  }

  /** A request was linked in. */
  private added(queue: ConnectionQueue, request: OutgoingRequest): void {
    if (queue.queued++ === 0) this.waiting++
    queue.queuedBytes += request.heldBytes
    this.queued++
    this.queuedBytes += request.heldBytes
    if (this.isRanked) this.rank(queue)
  }

  /** Takes out the first or last request of a queue. The ring is the caller's affair. */
  private remove(queue: ConnectionQueue, request: OutgoingRequest): void {
    const { next, previous } = request
    if (previous === null) queue.head = next
    else previous.next = next
    if (next === null) queue.tail = previous
    else next.previous = previous
    request.next = null
    request.previous = null
    if (--queue.queued === 0) this.waiting--
    queue.queuedBytes -= request.heldBytes
    this.queued--
    this.queuedBytes -= request.heldBytes
    if (this.isRanked) this.rank(queue)
  }

  private startRanking(): void {
    if (this.isRanked) return
    this.isRanked = true
    for (const queue of this.byConnection.values()) this.rank(queue)
  }

  private rank(queue: ConnectionQueue): void {
    this.ranksByRequests.move(queue.byRequests, queue.queued)
    this.ranksByBytes.move(queue.byBytes, byteClassOf(queue.queuedBytes))
  }

  private makeReady(queue: ConnectionQueue): void {
    if (queue.isReady || queue.head === null || (this.inOrder && queue.inFlight > 0)) return
    queue.isReady = true
    queue.previousReady = this.last
    if (this.last === null) this.first = queue
    else this.last.nextReady = queue
    this.last = queue
  }

  private leaveRing(queue: ConnectionQueue): void {
    const { nextReady, previousReady } = queue
    if (previousReady === null) this.first = nextReady
    else previousReady.nextReady = nextReady
    if (nextReady === null) this.last = previousReady
    else nextReady.previousReady = previousReady
    queue.nextReady = null
    queue.previousReady = null
    queue.isReady = false
  }

  private forgetWhenDone(queue: ConnectionQueue): void {
    if (!queue.isClosed || queue.held > 0) return
    this.unsettled--
    this.byConnection.delete(queue.id)
  }
}
