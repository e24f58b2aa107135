/**
 * The first line of a message as evidence: after a loss, in the middle of a connection, or after an early response it is what says that a
 * message begins. Fed in pieces: how the line was cut into segments makes no difference.
 */
import { CHARACTERS, Char, CR, SP } from './characters.ts'

/** What the bytes so far are of a first line. */
export const Probe = {
  /** No beginning of one. */
  no: 0,
  /** A beginning: the next bytes decide. */
  more: 1,
  /** One that is whole. */
  yes: 2,
} as const

/** Reads one first line, as its bytes come. */
export interface LineProbe {
  /** The next bytes of the line. One of Probe; after `yes` and `no` nothing more is looked at. */
  feed(bytes: Buffer, at: number, end: number): number
}

/** IANA's registered methods, and those of widely deployed extensions: what a resynchronisation may begin with. */
export const KNOWN_METHODS: ReadonlySet<string> = new Set(
  (
    'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY ' +
    'ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE ' +
    'ORDERPATCH PROPFIND PROPPATCH REBIND REPORT SEARCH UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL ' +
    'PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE M-SEARCH SOURCE'
  ).split(' '),
)
export const METHOD_PREFIXES: ReadonlySet<string> = new Set(
  [...KNOWN_METHODS].flatMap((method) => Array.from(method, (_, i) => method.slice(0, i + 1))),
)
export const LONGEST_METHOD = Math.max(...[...KNOWN_METHODS].map((m) => m.length))

export const REQUEST_VERSION = 'HTTP/1.?\r\n'
const STATUS_LINE = 'HTTP/1.? ???'

const Part = { method: 0, target: 1, version: 2, done: 3, refuted: 4 } as const

/** METHOD SP target SP HTTP/1.x CRLF with a known method. Wide gaps count as one: the parser judges them. */
export class RequestLineProbe implements LineProbe {
  private part: number = Part.method
  private method = ''
  private hasTarget = false
  /** Bytes of the version and the line's end that have matched. */
  private matched = 0

  begin(): this {
    this.part = Part.method
    this.method = ''
    this.hasTarget = false
    this.matched = 0
    return this
  }

  feed(bytes: Buffer, at: number, end: number): number {
    for (let i = at; i < end && this.part < Part.done; i++) this.byte(bytes[i]!)
    if (this.part === Part.done) return Probe.yes
    return this.part === Part.refuted ? Probe.no : Probe.more
  }

  private byte(c: number): void {
    switch (this.part) {
      case Part.method:
        if (c === SP) this.part = KNOWN_METHODS.has(this.method) ? Part.target : Part.refuted
        else {
          this.method += String.fromCharCode(c)
          if (!METHOD_PREFIXES.has(this.method)) this.part = Part.refuted
        }
        return
      case Part.target:
        if (c === SP) {
          if (this.hasTarget) this.part = Part.version
        } else if ((CHARACTERS[c]! & Char.target) !== 0) this.hasTarget = true
        else this.part = Part.refuted
        return
      default: {
        // Several spaces before the version.
        if (this.matched === 0 && c === SP) return
        const wanted = REQUEST_VERSION[this.matched]!
        const fits = wanted === '?' ? c === 0x30 || c === 0x31 : c === wanted.charCodeAt(0)
        if (!fits) this.part = Part.refuted
        else if (++this.matched === REQUEST_VERSION.length) this.part = Part.done
      }
    }
  }
}

/** HTTP/1.x SP 3DIGIT, then SP or CR. */
export class StatusLineProbe implements LineProbe {
  private matched = 0
  private isRefuted = false

  begin(): this {
    this.matched = 0
    this.isRefuted = false
    return this
  }

  feed(bytes: Buffer, at: number, end: number): number {
    for (let i = at; i < end && !this.isRefuted && this.matched <= STATUS_LINE.length; i++) this.byte(bytes[i]!)
    if (this.isRefuted) return Probe.no
    return this.matched > STATUS_LINE.length ? Probe.yes : Probe.more
  }

  private byte(c: number): void {
    const { matched } = this
    if (matched === STATUS_LINE.length) this.isRefuted = c !== SP && c !== CR
    else if (STATUS_LINE[matched] !== '?') this.isRefuted = c !== STATUS_LINE.charCodeAt(matched)
    else this.isRefuted = matched === 7 ? c !== 0x30 && c !== 0x31 : (CHARACTERS[c]! & Char.digit) === 0
    this.matched++
  }
}

const requestLine = new RequestLineProbe()
const statusLine = new StatusLineProbe()

/** One of Probe, for a request line of a known method that begins at `at`. */
export function probeRequestLine(bytes: Buffer, at: number, end: number): number {
  return requestLine.begin().feed(bytes, at, end)
}

/** One of Probe, for a status line that begins at `at`, as far as after its status code. */
export function probeStatusLine(bytes: Buffer, at: number, end: number): number {
  return statusLine.begin().feed(bytes, at, end)
}
