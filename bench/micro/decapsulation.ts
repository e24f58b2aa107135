/** The walk from a VXLAN header to the inner TCP header, against reading the same fields where they happen to stand. */

import { Decapsulator } from '../../src/decapsulation/decapsulator.ts'
import { Layer } from '../../src/decapsulation/layer.ts'
import { Verdict } from '../../src/decapsulation/verdict.ts'
import { COUNTER_BLOCK_BYTES, CounterBlock } from '../../src/metrics/counters.ts'
import { u16, u24 } from '../../src/wire/bytes.ts'
import { VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN, VXLAN_VNI } from '../../src/wire/vxlan.ts'
import type { MicroBench, MicroCase } from './measure.ts'
import { ETHERNET_LEN, endsOf, frameOf, packed } from './packets.ts'

const DATAGRAMS = 1024
const VNI = 7
const PAYLOAD = Buffer.alloc(300)

export function decapsulationBench(): MicroBench {
  return {
    name: 'micro/decapsulation',
    title: 'VXLAN, Ethernet, IP, TCP of a 350-byte packet',
    unit: 'packet',
    groups: [casesFor(4), casesFor(6)],
  }
}

function casesFor(ipVersion: 4 | 6): MicroCase[] {
  const header = Buffer.alloc(VXLAN_HEADER_LEN)
  header[0] = VXLAN_FLAG_VNI_VALID
  header.writeUIntBE(VNI, VXLAN_VNI, 3)
  const { bytes, offsets } = packed(
    Array.from({ length: DATAGRAMS }, (_, n) => {
      const { client, server } = endsOf(ipVersion, n)
      return Buffer.concat([header, frameOf(client, server, PAYLOAD)])
    }),
  )
  const tcpAt = VXLAN_HEADER_LEN + ETHERNET_LEN + (ipVersion === 4 ? 20 : 40)
  const decapsulator = new Decapsulator(
    {
      vlanDepth: 4,
      tunnelDepth: 4,
      verifyChecksums: false,
      fragments: { datagrams: 16, bytes: 1 << 20, timeoutMs: 1000 },
      allowFrom: null,
      vnis: null,
    },
    new CounterBlock(new SharedArrayBuffer(COUNTER_BLOCK_BYTES)),
  )
  let expected = 0
  for (let n = 0; n < DATAGRAMS; n++) expected += endsOf(ipVersion, n).client.port + VNI
  return [
    {
      name: `fixed offsets, IPv${ipVersion}`,
      operations: DATAGRAMS,
      run: () => {
        let sum = 0
        for (let i = 0; i < DATAGRAMS; i++) sum += u16(bytes, offsets[i]! + tcpAt) + u24(bytes, offsets[i]! + VXLAN_VNI)
        return sum
      },
      expected,
    },
    {
      name: `Decapsulator, IPv${ipVersion}`,
      operations: DATAGRAMS,
      run: () => {
        const { view } = decapsulator
        let sum = 0
        for (let i = 0; i < DATAGRAMS; i++) {
          if (decapsulator.datagram(bytes, offsets[i]!, offsets[i + 1]!, false, Layer.vxlan) !== Verdict.tcp) return -1
          sum += u16(view.bytes, view.tcpAt) + view.vni
        }
        return sum
      },
      expected,
    },
  ]
}
