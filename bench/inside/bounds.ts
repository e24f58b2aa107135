/** Committed bounds of the gate: at most so much, by key. */

export type Bounds = Readonly<Record<string, number>>

export type Measures = ReadonlyMap<string, { readonly value: number; readonly unit: string }>

/** How far above what was measured a bound stands. */
const ROOM = 1.15
/** What is exact needs no room but for rounding. */
const EXACT_ROOM = 1.005
const EXACT = new Set(['copiedBytesPerByte'])
/** What goes by a clock's ticks (a slow machine has more of them for as many packets of a file), and what a collector decides. */
const LOOSE_ROOM = 1.5
const LOOSE = new Set(['fileCallsPer1000Packets', 'liveCallsPer1000Packets', 'collectionsPer100000Packets'])
/** Below this a relative bound means nothing: a single buffer more or less. */
const LEAST_BOUND = 0.5

/** The bound for what was measured, with room, in three digits. */
export function boundFor(key: string, value: number): number {
  if (!Number.isFinite(value) || value < 0) throw new Error(`${key}: ${value} is no measurement`)
  if (EXACT.has(key)) return Number((value * EXACT_ROOM).toPrecision(4))
  return Math.max(LEAST_BOUND, Number((value * (LOOSE.has(key) ? LOOSE_ROOM : ROOM)).toPrecision(3)))
}

export function exceeds(value: number, bound: number): boolean {
  // Also what is no number at all.
  return !(value <= bound)
}

/** @throws Error where the file is not what the gate wrote */
export function readBounds(text: string): Record<string, number> {
  const bounds = JSON.parse(text) as Record<string, number>
  for (const [key, bound] of Object.entries(bounds))
    if (typeof bound !== 'number' || !Number.isFinite(bound) || bound < 0)
      throw new Error(`bench/bounds.json: ${key} is ${JSON.stringify(bound)}, expected a number from 0`)
  return bounds
}
