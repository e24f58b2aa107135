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
