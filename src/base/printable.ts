/**
 * Untrusted text (captured, configured, names of files) on its way to a terminal or a log: nothing in it moves the cursor, begins a line of its own
 * or turns the direction of writing.
 */

/** C0, DEL and C1 controls, line separators, and the marks that reorder what stands around them. */
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
const UNPRINTABLE_IN_LINES = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
/** What JSON.stringify leaves as it is and a terminal may obey: U+009B begins an escape sequence like ESC [. */
const CONTROLS_IN_JSON = /[\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Longest line that is told. Chosen: a path may have 4,096 bytes; what is longer says no more. */
const MAX_LINE = 4096

/** One line, whatever stands in it. */
export function printable(text: string, maxLength = MAX_LINE): string {
  return cut(text.replace(UNPRINTABLE, '·'), maxLength)
}

/** Several lines that we wrote, with untrusted text in them; that text went through `printable` where it may hold a line feed. */
export function printableLines(text: string): string {
  return text
    .replace(UNPRINTABLE_IN_LINES, '·')
    .split('\n')
    .map((line) => cut(line, MAX_LINE))
    .join('\n')
}

/** JSON that is safe to show: the same value, with the controls that JSON allows escaped as well. */
export function printableJson(value: unknown): string {
  return escapedJson(JSON.stringify(value))
}

/** The same for what is JSON already. */
export function escapedJson(json: string): string {
  return json.replace(CONTROLS_IN_JSON, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function cut(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text
}
