/** Classes of the 256 octets, RFC 9110 section 5.6 and RFC 9112 sections 3 to 7, as bits of one table. */

export const Char = {
  /** tchar: method and header names. */
  token: 1,
  /** What a request target may hold on the wire: visible ASCII and obs-text, no blank, no control. */
  target: 2,
  /** What may stand inside a field value, reason phrase or chunk extension: HTAB, SP, visible ASCII, obs-text, and control characters other than NUL, CR and LF (RFC 9110 section 5.5 lets a recipient keep those). */
  value: 4,
  digit: 8,
  hex: 16,
  /** SP and HTAB: optional white space. */
  blank: 32,
} as const

export const CHARACTERS = new Uint8Array(256)
for (let c = 0; c < 256; c++) {
  let bits = 0
  const text = String.fromCharCode(c)
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(text)) bits |= Char.token
  if ((c > 0x20 && c < 0x7f) || c >= 0x80) bits |= Char.target
  if (c !== 0 && c !== 0x0a && c !== 0x0d) bits |= Char.value
  if (/[0-9]/.test(text)) bits |= Char.digit
  if (/[0-9A-Fa-f]/.test(text)) bits |= Char.hex
  if (c === 0x20 || c === 0x09) bits |= Char.blank
  CHARACTERS[c] = bits
}

export const CR = 0x0d
export const LF = 0x0a
export const SP = 0x20
export const DEL = 0x7f
export const COLON = 0x3a
export const SEMICOLON = 0x3b
export const QUOTE = 0x22
export const BACKSLASH = 0x5c

/** Value of a hexadecimal digit. */
export function hexValue(c: number): number {
  return c <= 0x39 ? c - 0x30 : (c | 0x20) - 0x57
}
