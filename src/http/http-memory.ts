/**
 * What HTTP holds in one shard, against its bounds: the state of connections, and messages that are not complete.
 *
 * A message whose bytes have to be kept has a Reservation, and the reservations stand in a list, oldest first. Beyond the bound the oldest is
 * evicted, between packets: a message that never ends makes room for those that do. Each is evicted once and found at the front of the
 * list, so a flood costs its packets nothing more; and what is evicted is a whole message, dropped with a reason.
 */
import { CONNECTION_BYTES } from '../base/memory-weights.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'

export interface HttpMemoryLimits {
  /** Bytes of the shard's HTTP connections. */
  readonly connectionBytes: number
  /** Bytes of its messages being read and of exchanges waiting for their response. */
  readonly messageBytes: number
}

/** One request that waits for its response. */
export const PENDING_BYTES = 160
/** What the objects of a message weigh beside its bytes. */
export const MESSAGE_OVERHEAD = 512

/** Whoever keeps bytes of a message. */
export interface ReservationOwner {
  /** Gives up the message. Its reservation is closed already. Called between packets only. */
  evict(): void
}

export class Reservation {
  readonly owner: ReservationOwner
  bytes = 0
  isOpen = true
  next: Reservation | null = null
  previous: Reservation | null = null

  constructor(owner: ReservationOwner) {
    this.owner = owner
  }
}

export class HttpMemory {
  private readonly limits: HttpMemoryLimits
  private readonly counters: CounterBlock
  private connectionBytes = 0
  private messageBytes = 0
  private first: Reservation | null = null
  private last: Reservation | null = null

  constructor(limits: HttpMemoryLimits, counters: CounterBlock) {
    this.limits = limits
    this.counters = counters
    counters.set(Counter.connectionBytes, 0)
    counters.set(Counter.messageBytes, 0)
  }

  /** One more connection fits. */
  get hasRoom(): boolean {
    return this.connectionBytes + CONNECTION_BYTES <= this.limits.connectionBytes
  }

  /** One more request may wait for its response. */
  get hasRoomForPending(): boolean {
    return this.connectionBytes + PENDING_BYTES <= this.limits.connectionBytes
  }

  /** Messages hold more than their bound: `enforce` is due. */
  get isOver(): boolean {
    return this.messageBytes > this.limits.messageBytes
  }

  /** @param bytes negative: given back */
  connection(bytes: number): void {
    this.connectionBytes += bytes
    this.counters.set(Counter.connectionBytes, this.connectionBytes)
  }

  open(owner: ReservationOwner): Reservation {
    const reservation = new Reservation(owner)
    reservation.previous = this.last
    if (this.last === null) this.first = reservation
    else this.last.next = reservation
    this.last = reservation
    return reservation
  }

  /** The message now needs `bytes` in all. */
  resize(reservation: Reservation, bytes: number): void {
    if (!reservation.isOpen) return
    this.messageBytes += bytes - reservation.bytes
    reservation.bytes = bytes
    this.counters.set(Counter.messageBytes, this.messageBytes)
  }

  /**
   * Evicts the oldest messages until the others are within their bound. The shard calls it between packets, when no message is being
   * parsed; in between the bound is exceeded by what one packet brings, and by one doubling of a body.
   */
  enforce(): void {
    while (this.isOver && this.first !== null) {
      const oldest = this.first
      this.close(oldest)
      oldest.owner.evict()
    }
  }

  /** The message ended. Idempotent. */
  close(reservation: Reservation): void {
    if (!reservation.isOpen) return
    reservation.isOpen = false
    this.messageBytes -= reservation.bytes
    const { next, previous } = reservation
    if (previous === null) this.first = next
    else previous.next = next
    if (next === null) this.last = previous
    else next.previous = previous
    reservation.next = null
    reservation.previous = null
    this.counters.set(Counter.messageBytes, this.messageBytes)
  }
}
