/**
 * What came and was not read or not taken, by its number: bounded tables of the numbers that came most, one of each kind a thread, in its
 * counter block.
 *
 * A table has a fixed number of places. A number that finds none takes the place of the smallest count, which moves to `others`. So the
 * counts and `others` add up to what was passed over, a count is never more than what came, and what comes often has a place.
 *
 *  One table, float64 each:   others   number + 1, count   number + 1, count   …        number + 1 = 0: the place is free
 */

export interface PassedOverKind {
  /** Key in the summary. */
  readonly key: string
  readonly places: number
}

/** Kinds of numbers. */
export const PASSED_OVER = {
  /** UDP datagrams whose port is not that of a tunnel. */
  udpPort: { key: 'udpPorts', places: 12 },
  etherType: { key: 'etherTypes', places: 8 },
  ipProtocol: { key: 'ipProtocols', places: 8 },
  pppProtocol: { key: 'pppProtocols', places: 4 },
  linkType: { key: 'linkTypes', places: 4 },
  /** Frames without such a number: values of PassedFrame. */
  frame: { key: 'frames', places: 4 },
} as const satisfies Readonly<Record<string, PassedOverKind>>

export type PassedOverName = keyof typeof PASSED_OVER

/** What was refused, by numbers of refused-numbers.ts: written where a packet is dropped or skipped, and read by diagnosis. */
export const REFUSED = {
  /** VNIs outside --vni. */
  vni: { key: 'vnis', places: 8 },
  /** Outer sources outside --allow-from. */
  source: { key: 'sources', places: 8 },
  /** Ports of TCP packets outside --ports. */
  tcpPort: { key: 'tcpPorts', places: 8 },
  /** What datagrams look like that are not of the format of their socket. */
  format: { key: 'formats', places: 8 },
  /** Lengths of datagrams longer than --datagram-bytes, as far as their inner headers tell. */
  datagramBytes: { key: 'datagramBytes', places: 8 },
} as const satisfies Readonly<Record<string, PassedOverKind>>

export type RefusedName = keyof typeof REFUSED

const TABLES = { ...PASSED_OVER, ...REFUSED }
type TableName = keyof typeof TABLES
const NAMES = Object.keys(TABLES) as TableName[]

/** Index of each kind's table in a block's passed-over part. */
export const PassedOver = Object.freeze(offsets()) as { readonly [K in TableName]: number }

/** Places of each table, by its index. */
const PLACES = new Map<number, number>(NAMES.map((name) => [PassedOver[name], TABLES[name].places]))

/** Float64 values of all tables. */
export const PASSED_OVER_VALUES = NAMES.reduce((sum, name) => sum + lengthOf(name), 0)

/** Frames that no protocol number names. */
export const PassedFrame = { llc: 0, wifi: 1, loopbackFamily: 2, nflog: 3 } as const
export const PASSED_FRAME_NAMES: readonly string[] = [
  '802.3 LLC',
  '802.11 without data',
  'loopback of another family',
  'NFLOG without IP',
]

/** Counts one packet. @param at of the kind's table in `values` */
export function passOver(values: Float64Array, at: number, kind: number, number: number): void {
  const first = at + kind + 1
  const end = first + 2 * PLACES.get(kind)!
  let smallest = first
  for (let place = first; place < end; place += 2) {
    const taken = values[place]!
    if (taken === number + 1) {
      values[place + 1]! += 1
      return
    }
    if (taken === 0) {
      values[place] = number + 1
      values[place + 1] = 1
      return
    }
    // Of equal ones the last: numbers that come once take each other's place and leave the others theirs.
    if (values[place + 1]! <= values[smallest + 1]!) smallest = place
  }
  values[first - 1]! += values[smallest + 1]!
  values[smallest] = number + 1
  values[smallest + 1] = 1
}

/** Counts of one kind: number → packets, and those of all other numbers together. */
export interface PassedOverCounts {
  readonly numbers: Map<number, number>
  others: number
}

/** Adds up the tables of several threads. */
export class PassedOverTotals {
  readonly counts = Object.fromEntries(NAMES.map((name) => [name, { numbers: new Map(), others: 0 }])) as unknown as {
    readonly [K in TableName]: PassedOverCounts
  }

  /** @param at of the passed-over part of a block's values */
  add(values: Float64Array, at: number): void {
    for (const name of NAMES) {
      const first = at + PassedOver[name] + 1
      const counts = this.counts[name]
      counts.others += values[first - 1]!
      for (let place = first; place < first + 2 * TABLES[name].places; place += 2) {
        const number = values[place]! - 1
        if (number >= 0) counts.numbers.set(number, (counts.numbers.get(number) ?? 0) + values[place + 1]!)
      }
    }
  }
}

function lengthOf(name: TableName): number {
  return 1 + 2 * TABLES[name].places
}

/** Not set name by name: see `numbered`. */
function offsets(): Record<string, number> {
  let next = 0
  return Object.fromEntries(
    NAMES.map((name) => {
      const at = next
      next += lengthOf(name)
      return [name, at]
    }),
  )
}
