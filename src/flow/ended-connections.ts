/**
 * Connections that ended, by the initial numbers of both sides: no connection begins again with both of the last one (RFC 9293
 * section 3.4.1), so what does is a second copy, of another mirror, or of a capture merged with itself under a wrong clock.
 *
 *   set   4 entries, the latest first, by the low bits of the connection's hash; half a line of the processor's cache
 *
 *   entry, words of 4 bytes
 *     0   first sequence number of the client's stream, behind its SYN, mixed with the hash: see `markOf`
 *     1   the same of the server's, as it is
 *
 * Bound: 262,144 connections, 2 MiB a shard, touched as needed: those of four minutes at 1,000 a second, of half a minute at 10,000.
 * What ended longer ago is forgotten, and its copy read as a connection of its own.
 */
const SETS = 1 << 16
const WAYS = 4
const WORDS = 2
const SET_WORDS = WAYS * WORDS

export class EndedConnections {
  /** Made with the first connection that ends. */
  private words: Int32Array | null = null

  add(hash: number, client: number, server: number): void {
    this.words ??= new Int32Array(SETS * SET_WORDS)
    const { words } = this
    const at = setOf(hash)
    const mark = markOf(hash, client)
    if (words[at] === mark && words[at + 1] === server) return
    for (let i = at + SET_WORDS - 1; i >= at + WORDS; i--) words[i] = words[i - WORDS]!
    words[at] = mark
    words[at + 1] = server
  }

  /** One that began with this number of the client. */
  hasClient(hash: number, client: number): boolean {
    const { words } = this
    if (words === null) return false
    const mark = markOf(hash, client)
    for (let at = setOf(hash), end = at + SET_WORDS; at < end; at += WORDS) {
      if (words[at] === mark) return true
    }
    return false
  }

  has(hash: number, client: number, server: number): boolean {
    const { words } = this
    if (words === null) return false
    const mark = markOf(hash, client)
    for (let at = setOf(hash), end = at + SET_WORDS; at < end; at += WORDS) {
      if (words[at] === mark && words[at + 1] === server) return true
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

/**
 * Never 0, which is an empty entry. Of one connection's hash two numbers have two marks, and of one number two hashes have: where all
 * connections begin with the same numbers the marks tell them apart as well.
 */
function markOf(hash: number, client: number): number {
  const mark = (client + Math.imul(hash, 0x9e3779b1)) | 0
  return mark === 0 ? 1 : mark
}
