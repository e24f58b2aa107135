/**
 * Multipath TCP (RFC 8684): one byte stream over several TCP connections. What of it goes over another one is not seen here, or not in
 * its place, so such a connection is not read:
 *
 *   MP_JOIN in a SYN                it is a further subflow of another connection
 *   its token                       names that connection, which is one of several from now on
 *   DSS mapping that jumps          data sequence numbers do not continue with those of the subflow: bytes went another way
 *   DSS without a handshake seen    it may be any of these
 *
 * A connection that both sides agreed to (MP_CAPABLE) and that has one subflow, or fell back to plain TCP, is read as any other.
 *
 *   MP_JOIN in a SYN (section 3.2)      DSS (section 3.3)
 *   0  kind 30                          0  kind 30
 *   1  length 12                        1  length
 *   2  subtype 1, flags                 2  subtype 2
 *   3  address id                       3  flags F m M a A: 1 data ACK, 2 of 8 bytes, 4 DSN, 8 of 8 bytes, 16 data FIN
 *   4  receiver's token                 4  data ACK, DSN, subflow sequence number (4), length (2), checksum (2, optional)
 */
import { createHash } from 'node:crypto'
import { i32 } from '../wire/bytes.ts'
import { seqDistance } from '../wire/seq.ts'
import type { Segment } from './segment.ts'

const Subtype = { capable: 0, join: 1, dss: 2 } as const
const JOIN_SYN_LENGTH = 12
const KEY_AT = 4
const KEY_LENGTH = 8
const DSS_DATA_ACK = 1
const DSS_DATA_ACK_8 = 2
const DSS_DSN = 4
const DSS_DSN_8 = 8
const NOT_CAPABLE = 0

/** What is known of a connection that speaks multipath TCP; all others have none. */
interface Subflow {
  /** The SYN and the SYN+ACK offered MP_CAPABLE: bits 1 and 2. */
  offers: number
  /** By direction: data sequence number minus subflow sequence number, low 32 bits; null: no mapping came yet. */
  readonly shift: [number | null, number | null]
  readonly tokens: number[]
}

export class Multipath {
  private readonly subflows = new Map<number, Subflow>()
  /** Slot of the connection by the tokens of its two keys. */
  private readonly byToken = new Map<number, number>()

  /**
   * A packet with multipath options, of `key`. Returns the slots whose connections cannot be read (any more).
   * @param isHandshakeSeen the connection's SYN was seen
   */
  observe(key: number, segment: Segment, isHandshakeSeen: boolean): readonly number[] {
    const { options } = segment
    const first = this.option(key, segment, options.mptcpAt, options.mptcpLength, isHandshakeSeen)
    if (options.secondMptcpAt < 0) return first
    return [...first, ...this.option(key, segment, options.secondMptcpAt, options.secondMptcpLength, isHandshakeSeen)]
  }

  /** The connection in the slot is over. */
  forget(slot: number): void {
    const subflow = this.subflows.get(slot)
    if (subflow === undefined) return
    this.subflows.delete(slot)
    for (const token of subflow.tokens) if (this.byToken.get(token) === slot) this.byToken.delete(token)
  }

  private option(
    key: number,
    segment: Segment,
    at: number,
    length: number,
    isHandshakeSeen: boolean,
  ): readonly number[] {
    const { bytes } = segment.view!
    const slot = key >> 1
    switch (bytes[at + 2]! >> 4) {
      case Subtype.capable:
        this.capable(key, segment, at, length)
        return []
      case Subtype.join: {
        if (!segment.isSyn) return []
        const other = length === JOIN_SYN_LENGTH ? this.byToken.get(i32(bytes, at + 4)) : undefined
        return other === undefined || other === slot ? [slot] : [slot, other]
      }
      case Subtype.dss:
        return this.isMappingBroken(key, segment, at, length, isHandshakeSeen) ? [slot] : []
      default:
        return []
    }
  }

  private capable(key: number, segment: Segment, at: number, length: number): void {
    const slot = key >> 1
    const { bytes } = segment.view!
    const known = this.subflows.get(slot)
    if (!segment.isSyn && known === undefined) return
    const subflow = known ?? { offers: NOT_CAPABLE, shift: [null, null], tokens: [] }
    if (segment.isSyn) {
      subflow.offers |= segment.hasAck ? 2 : 1
      this.subflows.set(slot, subflow)
    }
    if (length < KEY_AT + KEY_LENGTH) return
    // Section 3.1: of the hash of the sender's key, SHA-1 in version 0, the beginning is the token, the end the number before the first.
    const hash = createHash((bytes[at + 2]! & 15) === 0 ? 'sha1' : 'sha256')
      .update(bytes.subarray(at + KEY_AT, at + KEY_AT + KEY_LENGTH))
      .digest()
    subflow.shift[key & 1] ??= hash.readInt32BE(hash.length - 4)
    const token = hash.readInt32BE(0)
    if (subflow.tokens.includes(token)) return
    subflow.tokens.push(token)
    this.byToken.set(token, slot)
  }

  private isMappingBroken(
    key: number,
    segment: Segment,
    at: number,
    length: number,
    isHandshakeSeen: boolean,
  ): boolean {
    const { bytes } = segment.view!
    const flags = bytes[at + 3]!
    if ((flags & DSS_DSN) === 0) return false
    const dataAck = (flags & DSS_DATA_ACK) === 0 ? 0 : (flags & DSS_DATA_ACK_8) === 0 ? 4 : 8
    const dsn = (flags & DSS_DSN_8) === 0 ? 4 : 8
    const dsnAt = at + 4 + dataAck
    if (4 + dataAck + dsn + 6 > length) return false
    const subflowSeq = i32(bytes, dsnAt + dsn)
    const mapped = (bytes[dsnAt + dsn + 4]! << 8) | bytes[dsnAt + dsn + 5]!
    // A data FIN of its own, and the infinite mapping of a fallback (section 3.7), map no byte.
    if (mapped === 0 || subflowSeq === 0) return false
    const slot = key >> 1
    const subflow = this.subflows.get(slot)
    // Both sides must have agreed; without the handshake nobody knows which of several this is.
    if (subflow === undefined || subflow.offers !== 3) return subflow !== undefined || !isHandshakeSeen
    const shift = seqDistance(subflowSeq, i32(bytes, dsnAt + dsn - 4))
    const known = subflow.shift[key & 1] ?? null
    subflow.shift[key & 1] = shift
    return known !== null && known !== shift
  }
}
