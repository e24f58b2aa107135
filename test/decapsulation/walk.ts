/** Drives a Decapsulator the way every test needs it: the packet lies between garbage, and the garbage must not matter. */
import assert from 'node:assert/strict'
import { PACKET_DROP_NAMES } from '../../src/base/drop.ts'
import type { DecapsulatorOptions } from '../../src/decapsulation/cursor.ts'
import { Decapsulator } from '../../src/decapsulation/decapsulator.ts'
import { Verdict } from '../../src/decapsulation/verdict.ts'
import { Counter, CounterBlock, PACKET_DROPS } from '../../src/metrics/counters.ts'
import { tcpHeaderLength } from '../../src/wire/tcp.ts'

export const OPTIONS: DecapsulatorOptions = {
  vlanDepth: 4,
  tunnelDepth: 4,
  verifyChecksums: false,
  fragments: { datagrams: 64, bytes: 1 << 20, timeoutMs: 1000 },
  allowFrom: null,
  vnis: null,
}

/** Where a packet comes in: the link type of a frame, or the layer of a mirrored datagram. */
export type Entry = { readonly linkType: number } | { readonly layer: number }

export interface Given {
  readonly entry: Entry
  readonly bytes: Buffer
  /** Bytes missing at the end: a frame of a capture was cut. Of a datagram only that there were some is known. */
  readonly missing?: number
  readonly nowUs?: number
}

export interface Found {
  /** `tcp`, `other`, `held`, or the name of the drop reason. */
  readonly verdict: string
  readonly data?: string
  readonly ipVersion?: number
  readonly vni?: number
  /** Bytes that the IP header announces and that are not here. */
  readonly missing?: number
}

const NAMES = new Map<number, string>([
  [Verdict.tcp, 'tcp'],
  [Verdict.other, 'other'],
  [Verdict.held, 'held'],
])

export class Walker {
  readonly counters = new CounterBlock()
  readonly decapsulator: Decapsulator
  private readonly garbage: number

  constructor(options: Partial<DecapsulatorOptions> = {}, garbage = 0xa5) {
    this.decapsulator = new Decapsulator({ ...OPTIONS, ...options }, this.counters)
    this.garbage = garbage
  }

  walk(given: Given): Found {
    const { entry, bytes, missing = 0, nowUs = 0 } = given
    const at = 3
    const end = at + bytes.length
    const all = Buffer.concat([Buffer.alloc(at, this.garbage), bytes, Buffer.alloc(64, this.garbage)])
    const { decapsulator } = this
    decapsulator.nowUs = nowUs
    const verdict =
      'linkType' in entry
        ? decapsulator.frame(all, at, end, end + missing, entry.linkType)
        : decapsulator.datagram(all, at, end, missing > 0, entry.layer)
    const name = NAMES.get(verdict) ?? PACKET_DROP_NAMES[verdict]
    if (name === undefined) throw new Error(`unknown verdict ${verdict}`)
    if (verdict !== Verdict.tcp) return { verdict: name }
    const { view } = decapsulator
    const first = view.bytes === all ? at : 0
    const last = view.bytes === all ? end : view.bytes.length
    const dataAt = view.tcpAt + tcpHeaderLength(view.bytes, view.tcpAt)
    // Every layer within the one around it, and all within what was given.
    const offsets = [first, view.ipAt, view.tcpAt, dataAt, view.end, last]
    const isInside = offsets.every((offset, i) => i === 0 || offset >= offsets[i - 1]!)
    const hasHeaders = view.tcpAt - view.ipAt >= 20 && dataAt - view.tcpAt >= 20
    if (!isInside || !hasHeaders || view.trueEnd < view.end)
      throw new Error(`offsets ${offsets}, true end ${view.trueEnd}`)
    const data = view.bytes.toString('latin1', dataAt, view.end)
    return { verdict: 'tcp', data, ipVersion: view.ipVersion, vni: view.vni, missing: view.trueEnd - view.end }
  }

  get(counter: keyof typeof Counter): number {
    return this.counters.get(Counter[counter])
  }

  dropped(): number {
    return this.counters.values
      .subarray(PACKET_DROPS, PACKET_DROPS + PACKET_DROP_NAMES.length)
      .reduce((a, b) => a + b, 0)
  }
}

/** What becomes of the last of these packets, which must not depend on the bytes around them. */
export function walk(given: Given | readonly Given[], options: Partial<DecapsulatorOptions> = {}): Found {
  const run = (garbage: number) => {
    const walker = new Walker(options, garbage)
    const all = Array.isArray(given) ? (given as readonly Given[]) : [given as Given]
    return { found: all.map((g) => walker.walk(g)), counters: Buffer.from(walker.counters.values.buffer) }
  }
  const one = run(0x00)
  for (const garbage of [0xff, 0x46]) {
    const other = run(garbage)
    assert.deepEqual(other.found, one.found)
    if (!other.counters.equals(one.counters)) throw new Error('bytes around the packet changed what was counted')
  }
  return one.found.at(-1)!
}
