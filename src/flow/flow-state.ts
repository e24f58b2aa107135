/** What the bits of the flow table's two columns of flags say. */

/** Bits of FlowTable.flags: of a connection. */
export const Flow = {
  /** Both directions ended: only late packets are expected. */
  closed: 1,
  /** Closed by a RST: data that continues after it is a connection again. */
  reset: 2,
  /** A SYN showed which side opened: direction 0 or, with `clientIs1`, direction 1. */
  clientKnown: 4,
  clientIs1: 8,
  /** A worker before this one had it, or it was evicted and came back: bytes before nextSeq were delivered. */
  recovered: 16,
  /** What was read of it before ended where no message boundary was known. */
  midMessage: 32,
  /** Its packets carry a signature (RFC 2385, RFC 5925), as those who hold the key demand. Valid with `signingKnown`. */
  signed: 64,
  signingKnown: 128,
  /** A side sent its SYN without timestamps: whatever carries some, nobody looks at them (RFC 7323 section 3.2). */
  withoutTimestamps: 256,
  /** The second copy of a connection that ended, or one of several of a multipath connection: nothing of it is read. */
  ignored: 512,
  /** Its client's initial number is that of a connection that ended: the server's says whether it is a copy of it. */
  mayBeCopy: 1024,
  /** Begun on a five-tuple in use, by the numbers of one side: nothing of the other was seen of it, though it was seen before. */
  unanswered: 2048,
  /** Closed, and its client's SYN came again: a copy of the first, or of a connection that begins with the same number. */
  askedAgain: 4096,
  /** It began unseen, and not long ago: it may be captured twice with different numbers. */
  mayBeTwice: 8192,
} as const

/** Bits of FlowTable.directionFlags: of what one side sends. */
export const Direction = {
  /** nextSeq is valid. */
  known: 1,
  /** A packet from this direction was seen. */
  seen: 2,
  /** highAck is valid. */
  acked: 4,
  /** finSeq is valid. */
  fin: 8,
  /** `end` was called. */
  ended: 16,
  /** truncatedSeq is valid. */
  truncated: 32,
  /** A pending gap: Disorder says since when. */
  hole: 64,
  /** Not known, but acknowledged: nextSeq and nextOffset say what the last acknowledgement covers. */
  anchored: 128,
  /** Its SYN was seen. */
  syn: 256,
  /** The same without ACK: it opened. */
  opened: 512,
  /** rightEdge is valid: how far the other side's window lets it send. */
  bounded: 1024,
  /** Windows it advertises are in units of 2^windowScale: both SYNs say so, or one of a side that scales nothing. */
  scaleKnown: 2048,
  /** Its SYN offered window scaling (RFC 7323). */
  scales: 4096,
  /** Its SYN permitted SACK. */
  sack: 8192,
  /** The last byte before nextSeq is in a gap: a FIN that came late may stand in its place. */
  behindGap: 16_384,
} as const
