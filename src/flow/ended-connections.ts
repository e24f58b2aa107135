/**
 * Connections that ended, by the initial numbers of both sides: no connection begins again with both of the last one (RFC 9293
 * section 3.4.1), so what does is a second copy, of another mirror, or of a capture merged with itself under a wrong clock.
 *
 *   set   4 entries, the latest first, by the low bits of the connection's hash
 *
 *   entry, words of 4 bytes
 *     0   hash
 *     1   first sequence number of the client's stream, behind its SYN
 *     2   the same of the server's
 *
 * Bound: 262,144 connections, 3 MiB a shard, touched as needed: those of four minutes at 1,000 a second, of half a minute at 10,000.
 * What ended longer ago is forgotten, and its copy read as a connection of its own.
 */
const SETS = 1 << 16
const WAYS = 4
const WORDS = 3
const SET_WORDS = WAYS * WORDS

export class EndedConnections {
  /** Made with the first connection that ends. */
  private words: Int32Array | null = null

  add(hash: number, client: number, server: number): void {
    this.words ??= new Int32Array(SETS * SET_WORDS)
    const { words } = this
    const at = setOf(hash)
    if (words[at] === hash && words[at + 1] === client && words[at + 2] === server) return
    for (let i = at + SET_WORDS - 1; i >= at + WORDS; i--) words[i] = words[i - WORDS]!
    words[at] = hash
    words[at + 1] = client
    words[at + 2] = server
  }

  /** One that began with this number of the client. */
  hasClient(hash: number, client: number): boolean {
    const { words } = this
    if (words === null) return false
    for (let at = setOf(hash), end = at + SET_WORDS; at < end; at += WORDS) {
      if (words[at] === hash && words[at + 1] === client) return true
    }
    return false
  }

  has(hash: number, client: number, server: number): boolean {
    const { words } = this
    if (words === null) return false
    for (let at = setOf(hash), end = at + SET_WORDS; at < end; at += WORDS) {
      if (words[at] === hash && words[at + 1] === client && words[at + 2] === server) return true
    }
    return false
  }

  /** The same packets come again on purpose: another pass over a file. */
  clear(): void {
    this.words?.fill(0)
  }
}

function setOf(hash: number): number {
  return (hash & (SETS - 1)) * SET_WORDS
}
