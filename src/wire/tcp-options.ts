/**
 * TCP options (RFC 9293 section 3.2): kind, length and value, one after the other, following the fixed header.
 *
 *   kind   length   option
 *      0        -   end of the list
 *      1        -   NOP
 *      3        3   window scale (RFC 7323 section 2.2)
 *      4        2   SACK permitted (RFC 2018)
 *      8       10   timestamps: TSval, TSecr (RFC 7323 section 3.2)
 *     19       18   MD5 signature (RFC 2385)
 *     29      4..   authentication option (RFC 5925)
 *     30      3..   multipath (RFC 8684): upper half of the next byte is the subtype
 */
import { i32 } from './bytes.ts'
import { TCP_MIN_HEADER_LEN, tcpHeaderLength } from './tcp.ts'

const Kind = { end: 0, nop: 1, windowScale: 3, sackPermitted: 4, timestamps: 8, md5: 19, authentication: 29, mptcp: 30 }
/** RFC 7323 section 2.3: more is taken for 14. */
const MAX_WINDOW_SCALE = 14
const NONE = -1
/** Bytes that an authentication option (RFC 5925) takes at least, with a byte of its code. */
const SHORTEST_SIGNATURE = 5

/** What the options of one segment say. Reused. */
export class TcpOptions {
  hasTimestamps = false
  /** int32; valid with hasTimestamps. */
  tsval = 0
  /** The same; 0 in a SYN. */
  tsecr = 0
  /** 0 to 14; -1: none. */
  windowScale = NONE
  isSackPermitted = false
  hasMd5 = false
  hasAuthentication = false
  /** A length does not fit, where a signature would still have room: whoever looks for one discards the segment. */
  isBroken = false
  /** Where the multipath options begin, up to two of them in one segment (DSS and another), and their lengths; -1: none. */
  mptcpAt = NONE
  mptcpLength = 0
  secondMptcpAt = NONE
  secondMptcpLength = 0

  /** @param at of the TCP header, whose length was checked */
  read(bytes: Uint8Array, at: number): void {
    this.clear()
    const end = at + tcpHeaderLength(bytes, at)
    for (let i = at + TCP_MIN_HEADER_LEN; i < end; ) {
      const kind = bytes[i]!
      if (kind === Kind.end) return
      if (kind === Kind.nop) {
        i++
        continue
      }
      const length = bytes[i + 1]!
      // What cannot be told apart from the payload ends the list.
      if (i + 1 >= end || length < 2 || length > end - i) {
        this.isBroken = end - i >= SHORTEST_SIGNATURE
        return
      }
      this.option(kind, length, bytes, i)
      i += length
    }
  }

  private option(kind: number, length: number, bytes: Uint8Array, at: number): void {
    switch (kind) {
      case Kind.windowScale:
        if (length === 3) this.windowScale = Math.min(bytes[at + 2]!, MAX_WINDOW_SCALE)
        break
      case Kind.sackPermitted:
        this.isSackPermitted = length === 2
        break
      case Kind.timestamps:
        if (length !== 10) break
        this.hasTimestamps = true
        this.tsval = i32(bytes, at + 2)
        this.tsecr = i32(bytes, at + 6)
        break
      case Kind.md5:
        this.hasMd5 = true
        break
      case Kind.authentication:
        this.hasAuthentication = true
        break
      case Kind.mptcp:
        if (length < 3) break
        if (this.mptcpAt === NONE) {
          this.mptcpAt = at
          this.mptcpLength = length
        } else {
          this.secondMptcpAt = at
          this.secondMptcpLength = length
        }
    }
  }

  private clear(): void {
    this.hasTimestamps = false
    this.windowScale = NONE
    this.isSackPermitted = false
    this.hasMd5 = false
    this.hasAuthentication = false
    this.isBroken = false
    this.mptcpAt = NONE
    this.secondMptcpAt = NONE
  }
}
