/** Five-tuple hash, against the string key that it replaces. */
import { fiveTupleHash } from '../../src/dispatch/hash.ts'
import { i32, u16 } from '../../src/wire/bytes.ts'
import type { MicroBench, MicroCase } from './measure.ts'
import { ETHERNET_LEN, endsOf, frameOf, packed } from './packets.ts'

const FLOWS = 512
const KEY = 0x5eed

export function hashBench(): MicroBench {
  return {
    name: 'micro/hash',
    title: 'five-tuple hash, both directions of 512 flows',
    unit: 'packet',
    groups: [casesFor(4), casesFor(6)],
  }
}

function casesFor(ipVersion: 4 | 6): MicroCase[] {
  const frames: Buffer[] = []
  for (let n = 0; n < FLOWS; n++) {
    const { client, server } = endsOf(ipVersion, n)
    frames.push(frameOf(client, server, Buffer.alloc(0)), frameOf(server, client, Buffer.alloc(0)))
  }
  const { bytes, offsets } = packed(frames)
  const addressLength = ipVersion === 4 ? 4 : 16
  const sourceAt = ETHERNET_LEN + (ipVersion === 4 ? 12 : 8)
  const tcpAt = ETHERNET_LEN + (ipVersion === 4 ? 20 : 40)
  const hashOf = (at: number) => fiveTupleHash(bytes, at + ETHERNET_LEN, ipVersion, at + tcpAt, 0, KEY)
  const keyOf = (at: number) => {
    let key = ''
    for (let i = 0; i < 2 * addressLength; i += 4) key += `${i32(bytes, at + sourceAt + i)},`
    return `${key}${u16(bytes, at + tcpAt)},${u16(bytes, at + tcpAt + 2)}`
  }
  // A hash that is symmetric because it is constant would pass below.
  const distinct = new Set(offsets.slice(0, -1).map(hashOf)).size
  return [
    {
      name: `string key, IPv${ipVersion}`,
      operations: 2 * FLOWS,
      run: () => {
        let different = 0
        for (let i = 0; i < 2 * FLOWS; i += 2) if (keyOf(offsets[i]!) !== keyOf(offsets[i + 1]!)) different++
        return different
      },
      expected: FLOWS,
    },
    {
      name: `fiveTupleHash, IPv${ipVersion}`,
      operations: 2 * FLOWS,
      run: () => {
        let equal = 0
        for (let i = 0; i < 2 * FLOWS; i += 2) if (hashOf(offsets[i]!) === hashOf(offsets[i + 1]!)) equal++
        return equal + distinct
      },
      expected: 2 * FLOWS,
    },
  ]
}
