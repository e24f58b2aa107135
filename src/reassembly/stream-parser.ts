/** Where reassembled streams go: one parser per connection, made when its first data arrives. */

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
  /** It was evicted: memory was short. */
  evicted: 5,
  /** Its streams cannot be read: multipath TCP (RFC 8684) carries them over several connections. Nothing of it may be passed on. */
  unreadable: 6,
} as const

/** Why bytes of a stream are not delivered. */
export const GapReason = {
  /** The mirror lost them. */
  lost: 0,
  /** They were cut off a packet that came. */
  truncated: 1,
  /** Urgent data (RFC 6093): whether the receiver reads the byte in its stream depends on a socket option that nobody sees. */
  urgent: 2,
  /** Two different copies came, and which one the receiver took is not known. */
  conflict: 3,
} as const

/** What a parser wants of a direction. */
export const Demand = {
  ready: 0,
  /** Pieces wait until what they acknowledge of the other direction was delivered: responses never overtake requests. */
  afterPeer: 1,
  /** It takes nothing now. It changes its mind by what the other direction brings, or by `tick`. */
  paused: 2,
} as const

/** Where the connection stands between messages. */
export const Phase = {
  /** Neither side is inside a message or a tunnel, as far as was seen: what looks like a request next is one. */
  boundary: 0,
  /** A request is in hand: when the connection is forgotten now, it is lost. */
  message: 1,
  /** Neither: a tunnel, a response under way, or no boundary is known. */
  opaque: 2,
} as const

/**
 * Offset of the first byte known of a stream whose beginning was not seen: so what stands before it has an offset too. A stream
 * whose SYN was seen begins at 0.
 */
export const MIDSTREAM_OFFSET = 2 ** 32
export const NO_OFFSET = -1

/** One piece of a direction, in order. Reused; bytes are borrowed until `data` returns. */
export class StreamPiece {
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  end = 0
  /** Position in the direction's stream of the byte at `at`. */
  offset = 0
  /**
   * How far its sender had the other direction when it sent the piece (its acknowledgement), as an offset of that direction;
   * NO_OFFSET: unknown.
   */
  peerOffset = NO_OFFSET
  timeUs = 0
  /** The piece begins where its TCP segment began. */
  startsSegment = false
  /** The other side had acknowledged exactly up to the piece's start: evidence of a message boundary. */
  isAckedTo = false
}

/** The two streams of one connection, read. It never calls back into reassembly. */
export interface StreamParser {
  /** Takes the piece, or its beginning. Returns the number of bytes taken; less than all: the direction is paused. */
  data(direction: number, piece: StreamPiece): number
  /** Bytes that will not come. @param why one of GapReason */
  gap(direction: number, length: number, why: number): void
  /** No more bytes in this direction. @param why one of End */
  end(direction: number, why: number): void
  /** The connection is gone; called once, last. @param why one of End */
  close(why: number): void
  /** One of Demand. */
  demand(direction: number): number
  /** Ends a pause that has become too dear: the store is full. The next `data` of the direction takes a byte at least. */
  giveUpPause(direction: number): void
  /** One of Phase. */
  readonly phase: number
  /** When `tick` is to be called, between packets; Infinity: never. */
  readonly wakeAtUs: number
  tick(nowUs: number): void
}

export interface StreamParserFactory {
  /** False: the memory for parsers is used up. One more may still be opened where nothing else is safe. */
  mayOpen(): boolean
  /**
   * @param clientDirection direction of the side that opened the connection, -1 when its start was not seen
   * @param isMidMessage it ended where no message boundary was known, and continues
   */
  open(slot: number, clientDirection: number, nowUs: number, isMidMessage: boolean): StreamParser
}
