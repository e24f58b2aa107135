/** Byte counts and durations as people write them: `65536`, `64k`, `64KB`, `16MiB`; `250`, `250ms`, `5s`, `2m`. */

/** Four ways to write each, all of them powers of 1,024: docs/decisions/0065-units-of-bytes.md. */
const BYTE_UNITS: Readonly<Record<string, number>> = Object.fromEntries([
  ['', 1],
  ['b', 1],
  ...['k', 'm', 'g', 't'].flatMap((letter, i) =>
    ['', 'b', 'i', 'ib'].map((ending): [string, number] => [letter + ending, 1024 ** (i + 1)]),
  ),
])
const TIME_UNITS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([a-z]*)$/i.exec(text.trim())
  if (match === null) return null
  const unit = match[2]!.toLowerCase()
  if (!Object.hasOwn(units, unit)) return null
  const value = Number(match[1]) * units[unit]!
  return Number.isSafeInteger(value) ? value : null
}

/** Bytes, or null. Every unit is a power of 1,024, whatever its case and ending. */
export function parseBytes(text: string): number | null {
  return parseQuantity(text, BYTE_UNITS)
}

/** Milliseconds, or null. A number alone is milliseconds. */
export function parseDurationMs(text: string): number | null {
  return parseQuantity(text, TIME_UNITS)
}

function format(value: number, units: readonly (readonly [string, number])[]): string {
  for (const [unit, size] of units) if (value >= size && value % size === 0) return `${value / size}${unit}`
  return String(value)
}

/** The shortest exact way to write it, e.g. `16MiB`. `parseBytes` reads it back. */
export function formatBytes(bytes: number): string {
  return format(bytes, [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ])
}

/** The shortest exact way to write it, e.g. `5s`. `parseDurationMs` reads it back. */
export function formatDurationMs(ms: number): string {
  return format(ms, [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ])
}
