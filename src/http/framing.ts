/**
 * Where a message ends, from its header fields (RFC 9112 section 6): Content-Length, Transfer-Encoding, and whether they agree. Beside
 * them the few other fields whose meaning HTTP itself needs, as MessageFlags.
 */

import { MessageFlag, type MessageView } from '../exchange/message.ts'
import { CHARACTERS, Char } from './characters.ts'
import { Fault } from './fault.ts'
import { endsWithListToken, equalsText, hasListToken, isText, word } from './text.ts'

export class Framing {
  /** What was wrong, after `note` or `check` returned false. */
  fault = 0
  /** The length is stated twice, and the same: certain, but not passed on. */
  isRepeated = false
  private length = -1
  private hasCoding = false

  begin(): void {
    this.fault = 0
    this.isRepeated = false
    this.length = -1
    this.hasCoding = false
  }

  /** What a field says about the message besides its value; false: a fault. The name has the length and first letter of a noted one. */
  note(bytes: Buffer, nameAt: number, nameEnd: number, valueAt: number, valueEnd: number, view: MessageView): boolean {
    switch (nameEnd - nameAt) {
      case 6:
        if (isText(bytes, nameAt, EXPECT) && equalsText(bytes, valueAt, valueEnd, HUNDRED_CONTINUE))
          view.flags |= MessageFlag.expect
        return true
      case 7:
        if (isText(bytes, nameAt, UPGRADE)) {
          view.flags |= MessageFlag.upgrade
          if (!equalsText(bytes, valueAt, valueEnd, H2C)) view.flags |= MessageFlag.foreignUpgrade
          if (hasListToken(bytes, valueAt, valueEnd, WEBSOCKET)) view.flags |= MessageFlag.webSocket
        }
        return true
      case 10:
        if (isText(bytes, nameAt, CONNECTION)) this.connection(bytes, valueAt, valueEnd, view)
        return true
      case 13:
        if (isText(bytes, nameAt, MARKER)) view.flags |= MessageFlag.marked
        return true
      case 14:
        return !isText(bytes, nameAt, CONTENT_LENGTH) || this.contentLength(bytes, valueAt, valueEnd, view)
      case 16:
        // What browsers sent to proxies before HTTP/1.1: it means the same.
        if (isText(bytes, nameAt, PROXY_CONNECTION) && hasListToken(bytes, valueAt, valueEnd, KEEP_ALIVE))
          view.flags |= MessageFlag.keepAlive
        return true
      case 17:
        return !isText(bytes, nameAt, TRANSFER_ENCODING) || this.transferCoding(bytes, valueAt, valueEnd, view)
      default:
        return true
    }
  }

  /**
   * Whether the framing fields agree (RFC 9112 section 6.1).
   * @param isLineLoose the request line has too much white space: a reader that takes another word for its version may take it for HTTP/1.0, which has no chunks
   */
  check(view: MessageView, isLineLoose: boolean): boolean {
    if (this.hasCoding) {
      if ((view.flags & MessageFlag.hasLength) !== 0) return this.refuse(Fault.lengthAndChunked)
      if (view.minorVersion === 0) return this.refuse(Fault.transferCoding)
      if (isLineLoose) return this.refuse(Fault.firstLine)
    }
    if ((view.flags & MessageFlag.connect) !== 0 && (this.hasCoding || view.contentLength > 0))
      return this.refuse(Fault.connectBody)
    return true
  }

  private refuse(fault: number): false {
    this.fault = fault
    return false
  }

  private connection(bytes: Buffer, at: number, end: number, view: MessageView): void {
    if (hasListToken(bytes, at, end, CLOSE)) view.flags |= MessageFlag.close
    if (hasListToken(bytes, at, end, KEEP_ALIVE)) view.flags |= MessageFlag.keepAlive
  }

  private contentLength(bytes: Buffer, at: number, end: number, view: MessageView): boolean {
    let length = 0
    // Leading zeros are allowed; 15 significant digits stay exact in a number.
    let digits = 0
    for (let i = at; i < end; i++) {
      if ((CHARACTERS[bytes[i]!]! & Char.digit) === 0) return this.refuse(Fault.contentLength)
      length = length * 10 + bytes[i]! - 0x30
      if (length > 0 && ++digits > 15) return this.refuse(Fault.contentLength)
    }
    if (at === end) return this.refuse(Fault.contentLength)
    if (this.length >= 0) {
      if (this.length !== length) return this.refuse(Fault.contentLength)
      this.isRepeated = true
    }
    this.length = length
    view.contentLength = length
    view.flags |= MessageFlag.hasLength
    return true
  }

  private transferCoding(bytes: Buffer, at: number, end: number, view: MessageView): boolean {
    const isRequest = view.status === 0
    if (isRequest) {
      if (this.hasCoding || !equalsText(bytes, at, end, CHUNKED)) return this.refuse(Fault.transferCoding)
      view.flags |= MessageFlag.chunked
    } else {
      // A response may apply other codings before chunked (RFC 9112 section 6.1); the last one frames it.
      if ((view.flags & MessageFlag.chunked) !== 0) return this.refuse(Fault.transferCoding)
      if (endsWithListToken(bytes, at, end, CHUNKED)) view.flags |= MessageFlag.chunked
    }
    this.hasCoding = true
    return true
  }
}

/** A field with this name may matter: most are ruled out by their length and first letter. */
export function mayBeNoted(bytes: Buffer, nameAt: number, nameEnd: number): boolean {
  const length = nameEnd - nameAt
  return length <= LONGEST_NOTED && NOTED_BY[length * 32 + (bytes[nameAt]! & 31)] !== 0
}

const EXPECT = word('expect')
const HUNDRED_CONTINUE = word('100-continue')
const UPGRADE = word('upgrade')
const WEBSOCKET = word('websocket')
const H2C = word('h2c')
const CONNECTION = word('connection')
const PROXY_CONNECTION = word('proxy-connection')
const CLOSE = word('close')
const KEEP_ALIVE = word('keep-alive')
/** The loop guard's header, set by replay. */
const MARKER = word('x-mirrorshard')
const CONTENT_LENGTH = word('content-length')
const TRANSFER_ENCODING = word('transfer-encoding')
const CHUNKED = word('chunked')

/** 1 where a noted name has this length and this first letter. Index: length * 32 + low five bits of the first byte, equal in both cases of a letter. */
const NOTED = [EXPECT, UPGRADE, CONNECTION, PROXY_CONNECTION, MARKER, CONTENT_LENGTH, TRANSFER_ENCODING]
const LONGEST_NOTED = Math.max(...NOTED.map((name) => name.length))
const NOTED_BY = new Uint8Array((LONGEST_NOTED + 1) * 32)
for (const name of NOTED) NOTED_BY[name.length * 32 + (name[0]! & 31)] = 1
