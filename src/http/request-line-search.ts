/**
 * Looks for a request line anywhere in bytes that may be a body or not, as they come. One may begin after any byte, because what a client had
 * already handed to its kernel may share a segment with what it sent after it gave the body up.
 */
import { CHARACTERS, Char, CR, LF, SP } from './characters.ts'
import { KNOWN_METHODS, LONGEST_METHOD, METHOD_PREFIXES, REQUEST_VERSION } from './first-line.ts'

const NONE = -1
/** Bytes of the token at hand that are kept: a power of two above the longest method. */
const TAIL = 32

export class RequestLineSearch {
  /** The last bytes of the token at hand, in a ring, and its length. */
  private readonly tail = new Uint8Array(TAIL)
  private tokenBytes = 0
  /** Bytes of the target of a line that may end; NONE: there is no such line. */
  private targetBytes = NONE
  /** Bytes that matched of the version of a line that may end; NONE: there is no such line. */
  private versionBytes = NONE
  /** The method of that line is a known one that began in the body. */
  private isTargetKnown = false
  private isVersionKnown = false
  /** Its method is CONNECT. */
  private isTargetConnect = false
  private isVersionConnect = false
  /** Token bytes at hand that stand behind the end of the body; NONE: the body goes on. */
  private bytesBehind = NONE
  /** Of the line found last: the last digit of its version, the byte that ended it, and whether its method may be CONNECT. */
  minorVersion = 1
  lineEnd = CR
  isConnect = false

  begin(): void {
    this.tokenBytes = 0
    this.targetBytes = NONE
    this.versionBytes = NONE
    this.bytesBehind = NONE
  }

  copyFrom(other: RequestLineSearch): void {
    this.tail.set(other.tail)
    this.tokenBytes = other.tokenBytes
    this.targetBytes = other.targetBytes
    this.versionBytes = other.versionBytes
    this.isTargetKnown = other.isTargetKnown
    this.isVersionKnown = other.isVersionKnown
    this.isTargetConnect = other.isTargetConnect
    this.isVersionConnect = other.isVersionConnect
    this.bytesBehind = other.bytesBehind
  }

  /** The index after the first request line that ends in [at, end), or -1. Stops there. */
  find(bytes: Buffer, at: number, end: number): number {
    for (let i = at; i < end; i++) if (this.byte(bytes[i]!)) return i + 1
    return -1
  }

  /** As `find`, and looks at nothing: what is found later is found again. */
  ahead(bytes: Buffer, at: number, end: number): number {
    TRIAL.copyFrom(this)
    return TRIAL.find(bytes, at, end)
  }

  /** The body is whole. From here on only a line that began in it counts, and of a known method: any text ends like an unknown one. */
  bodyEnds(): void {
    this.bytesBehind = 0
    if (!this.isTargetKnown) this.targetBytes = NONE
    if (!this.isVersionKnown) this.versionBytes = NONE
  }

  /** After the end of the body: a request line may have begun in it and not ended. */
  get isOpen(): boolean {
    if (this.targetBytes !== NONE || this.versionBytes !== NONE) return true
    const token = this.token()
    for (let from = 0; from < token.length - this.bytesBehind; from++)
      if (METHOD_PREFIXES.has(token.slice(from))) return true
    return false
  }

  /** True: this byte ends a request line. */
  private byte(c: number): boolean {
    if (this.versionBytes !== NONE && this.versionByte(c)) return true
    if (c === SP) {
      this.space()
      return false
    }
    const bits = CHARACTERS[c]!
    if (this.targetBytes !== NONE) this.targetBytes = (bits & Char.target) === 0 ? NONE : this.targetBytes + 1
    if ((bits & Char.token) !== 0) {
      this.tail[this.tokenBytes++ & (TAIL - 1)] = c
      if (this.bytesBehind !== NONE) this.bytesBehind++
    } else this.tokenEnds()
    return false
  }

  private versionByte(c: number): boolean {
    // Several spaces before it.
    if (this.versionBytes === 0 && c === SP) return false
    const wanted = REQUEST_VERSION[this.versionBytes]!
    if (wanted === '\r') {
      this.versionBytes = NONE
      this.lineEnd = c
      this.isConnect = this.isVersionConnect
      return c === CR || c === LF
    }
    const fits = wanted === '?' ? c === 0x30 || c === 0x31 : c === wanted.charCodeAt(0)
    if (wanted === '?') this.minorVersion = c - 0x30
    this.versionBytes = fits ? this.versionBytes + 1 : NONE
    return false
  }

  private space(): void {
    // Several spaces before the target.
    if (this.targetBytes === 0) return
    if (this.targetBytes > 0) {
      this.versionBytes = 0
      this.isVersionKnown = this.isTargetKnown
      this.isVersionConnect = this.isTargetConnect
    }
    const isKnown = this.endsWithKnownMethod()
    this.isTargetConnect = isKnown && this.token().endsWith('CONNECT')
    const begins = this.bytesBehind === NONE ? this.tokenBytes > 0 : isKnown
    this.targetBytes = begins ? 0 : NONE
    this.isTargetKnown = isKnown
    this.tokenEnds()
  }

  /** The token at hand ends with a known method whose first letter stands in the body. */
  private endsWithKnownMethod(): boolean {
    if (this.tokenBytes === 0) return false
    const token = this.token()
    const behind = Math.max(this.bytesBehind, 0)
    for (let from = 0; from < token.length - behind; from++) if (KNOWN_METHODS.has(token.slice(from))) return true
    return false
  }

  private tokenEnds(): void {
    this.tokenBytes = 0
    // No method that began in the body continues after this byte.
    if (this.bytesBehind !== NONE) this.bytesBehind = Number.MAX_SAFE_INTEGER
  }

  private token(): string {
    const length = Math.min(this.tokenBytes, LONGEST_METHOD + 1)
    let token = ''
    for (let i = this.tokenBytes - length; i < this.tokenBytes; i++)
      token += String.fromCharCode(this.tail[i & (TAIL - 1)]!)
    return token
  }
}

const TRIAL = new RequestLineSearch()
