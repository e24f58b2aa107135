/** Where reassembled streams go: one consumer per connection, made when its first data arrives. */

/** Why a direction or a connection ended. */
export const End = {
  /** FIN, all bytes before it delivered. */
  fin: 0,
  /** RST. */
  reset: 1,
  /** Idle time-out. */
  expired: 2,
  /** The input ended, or the process shuts down. */
  input: 3,
  /** A new connection took over the five-tuple. */
  replaced: 4,
  /** It had to give way: memory was short. */
  evicted: 5,
} as const

/** One piece of a direction, in order. Reused; bytes are lent until `data` returns. */
export class StreamPiece {
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  end = 0
  /** Sequence number of the byte at `at` (int32). */
  seq = 0
  /** Acknowledgement number of the packet that brought it, where `hasAck`. */
  ack = 0
  hasAck = false
  timeUs = 0
  /** The piece begins where its TCP segment began. */
  startsSegment = false
  /** The other side had acknowledged exactly up to the piece's start: evidence of a message boundary. */
  isAckedTo = false
}

export interface StreamConsumer {
  /** Takes the piece, or its beginning. Returns the number of bytes taken; less than all: it waits for the other direction. */
  data(direction: number, piece: StreamPiece): number
  /** Bytes that will not come. `wasCut`: they were cut off a packet that came. */
  gap(direction: number, length: number, wasCut: boolean): void
  /** No more bytes in this direction. */
  end(direction: number, reason: number): void
  /** The connection is gone; called once, last. */
  close(reason: number): void
  /** True: pieces of this direction wait until what they acknowledge of the other was delivered. Answers never overtake questions. */
  waitsForPeer(direction: number): boolean
  /** The direction does not take data now; `resume` by itself when it does. */
  isWaiting(direction: number): boolean
  /** Ends a wait that has become too dear: the store is full. The next `data` of the direction takes a byte at least. */
  giveUpWaiting(direction: number): void
  /** No message is in hand: when the connection is forgotten now, none is lost. */
  readonly isIdle: boolean
  /** Neither side is inside a message or a tunnel, as far as was seen: what looks like a request next is one. */
  readonly isAtBoundary: boolean
  /** True while `tick` wants to be called between packets. */
  readonly wantsTick: boolean
  tick(nowUs: number): void
}

export interface StreamConsumerFactory {
  /** False: the memory for consumers is used up. One more may still be opened where nothing else is safe. */
  mayOpen(): boolean
  /**
   * @param clientDirection direction of the side that opened the connection, -1 when its start was not seen
   * @param isInside it ended where no message boundary was known, and goes on
   */
  open(slot: number, clientDirection: number, nowUs: number, isInside: boolean): StreamConsumer
}
