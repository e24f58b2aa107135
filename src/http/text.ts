/** Comparisons of bytes with known words, and the limits of words in a line: what all readers of heads need. */
import { CHARACTERS, Char, DEL, SP } from './characters.ts'

/** A word to compare with: its letters in lower case match either case, in upper case only themselves. */
export function word(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0))
}

/** Bytes from `at` on are `text`. */
export function isText(bytes: Buffer, at: number, text: Uint8Array): boolean {
  for (let k = 0; k < text.length; k++) {
    const c = bytes[at + k]!
    const t = text[k]!
    if (c !== t && !(t >= 0x61 && t <= 0x7a && c === t - 0x20)) return false
  }
  return true
}

export function equalsText(bytes: Buffer, at: number, end: number, text: Uint8Array): boolean {
  return end - at === text.length && isText(bytes, at, text)
}

/** A comma-separated list holds the token (parameters and versions after `/` or `;` aside). */
export function hasListToken(bytes: Buffer, at: number, end: number, token: Uint8Array): boolean {
  for (let i = at; i < end; ) {
    while (i < end && (bytes[i] === 0x2c || (CHARACTERS[bytes[i]!]! & Char.blank) !== 0)) i++
    const itemAt = i
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.token) !== 0) i++
    if (equalsText(bytes, itemAt, i, token)) return true
    while (i < end && bytes[i] !== 0x2c) i++
  }
  return false
}

export function endsWithListToken(bytes: Buffer, at: number, end: number, token: Uint8Array): boolean {
  let itemAt = end
  while (itemAt > at && (CHARACTERS[bytes[itemAt - 1]!]! & Char.token) !== 0) itemAt--
  return equalsText(bytes, itemAt, end, token)
}

/** The end of [at, end) without the blanks before it. */
export function trimmedEnd(bytes: Buffer, at: number, end: number): number {
  let i = end
  while (i > at && (CHARACTERS[bytes[i - 1]!]! & Char.blank) !== 0) i--
  return i
}

// Nearly every byte of a head is looked at in one of these two: the table only where a comparison does not decide.

/** The index after the bytes from `at` on that may stand in a value (Char.value). */
export function pastValue(bytes: Buffer, at: number, end: number): number {
  let i = at
  while (i < end) {
    const c = bytes[i]!
    if (c < SP && (CHARACTERS[c]! & Char.value) === 0) break
    i++
  }
  return i
}

/** The index after the bytes from `at` on that may stand in a target (Char.target). */
export function pastTarget(bytes: Buffer, at: number, end: number): number {
  let i = at
  while (i < end) {
    const c = bytes[i]!
    if (c <= SP || c === DEL) break
    i++
  }
  return i
}
