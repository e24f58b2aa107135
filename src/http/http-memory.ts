/**
 * What HTTP holds in one shard, against its bounds: the state of connections, and messages that are not complete.
 *
 * A message whose bytes have to be kept has a Holding, and the holdings stand in a line, oldest first. When the bound is reached
 * the oldest is shed: a message that never ends makes room for those that do. Each is shed once and found at the front of the
 * line, so a flood costs its packets nothing more; and what is shed is a whole message, dropped with a reason.
 */
import { CONNECTION_BYTES } from '../base/memory-weights.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'

export interface HttpMemoryLimits {
  /** Bytes of the shard's HTTP connections. */
  readonly connectionBytes: number
  /** Bytes of its messages being read and of exchanges waiting for their answer. */
  readonly messageBytes: number
}

/** One request that waits for its answer. */
export const PENDING_BYTES = 160
/** What the objects of a message weigh beside its bytes. */
export const MESSAGE_OVERHEAD = 512

/** Whoever keeps bytes of a message. */
export interface MessageHolder {
  /** Gives up the message. Its holding is closed already. */
  shed(): void
}

export class Holding {
  readonly holder: MessageHolder
  bytes = 0
  isOpen = true
  next: Holding | null = null
  previous: Holding | null = null

  constructor(holder: MessageHolder) {
    this.holder = holder
  }
}

export class HttpMemory {
  private readonly limits: HttpMemoryLimits
  private readonly counters: CounterBlock
  private connectionBytes = 0
  private messageBytes = 0
  private first: Holding | null = null
  private last: Holding | null = null

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

  /** One more request may wait for its answer. */
  get hasRoomForPending(): boolean {
    return this.connectionBytes + PENDING_BYTES <= this.limits.connectionBytes
  }

  /** @param bytes negative: given back */
  connection(bytes: number): void {
    this.connectionBytes += bytes
    this.counters.set(Counter.connectionBytes, this.connectionBytes)
  }

  open(holder: MessageHolder): Holding {
    const holding = new Holding(holder)
    holding.previous = this.last
    if (this.last === null) this.first = holding
    else this.last.next = holding
    this.last = holding
    return holding
  }

  /** The message now needs `bytes` in all: asked for before they are taken. False: it was shed itself, being the oldest, or had ended before. */
  resize(holding: Holding, bytes: number): boolean {
    if (!holding.isOpen) return false
    this.messageBytes += bytes - holding.bytes
    holding.bytes = bytes
    while (this.messageBytes > this.limits.messageBytes && this.first !== null) {
      const oldest = this.first
      this.close(oldest)
      oldest.holder.shed()
    }
    this.counters.set(Counter.messageBytes, this.messageBytes)
    return holding.isOpen
  }

  /** The message ended. Idempotent. */
  close(holding: Holding): void {
    if (!holding.isOpen) return
    holding.isOpen = false
    this.messageBytes -= holding.bytes
    const { next, previous } = holding
    if (previous === null) this.first = next
    else previous.next = next
    if (next === null) this.last = previous
    else next.previous = previous
    holding.next = null
    holding.previous = null
    this.counters.set(Counter.messageBytes, this.messageBytes)
  }
}
