/** Header values that are replaced before anything is written: `inspect --redact`. */
import { createHmac } from 'node:crypto'

export interface RedactionOptions {
  /** Names in lower case. */
  readonly headers: readonly string[]
  /** Null: one fixed text stands for every value. */
  readonly key: Uint8Array | null
}

export type Headers = readonly (readonly [string, string])[]

const FIXED_TEXT = '[redacted]'
/** 64 bits: among a million differing values two look alike once in 37 million files. */
const HMAC_DIGITS = 16

export class Redaction {
  private readonly names: ReadonlySet<string>
  private readonly key: Uint8Array | null

  constructor({ headers, key }: RedactionOptions) {
    this.names = new Set(headers)
    this.key = key
  }

  /** The same list where nothing in it is redacted. */
  apply(headers: Headers): Headers {
    if (!headers.some(([name]) => this.names.has(name.toLowerCase()))) return headers
    return headers.map(([name, value]) =>
      this.names.has(name.toLowerCase()) ? [name, this.text(value)] : [name, value],
    )
  }

  private text(value: string): string {
    if (this.key === null) return FIXED_TEXT
    // Captured text is latin1: a character is a byte.
    return `hmac:${createHmac('sha256', this.key).update(value, 'latin1').digest('hex').slice(0, HMAC_DIGITS)}`
  }
}
