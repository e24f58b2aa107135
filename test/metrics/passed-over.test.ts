import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { COUNTER_BLOCK_BYTES, CounterBlock } from '../../src/metrics/counters.ts'
import { PASSED_OVER, PassedFrame, PassedOver } from '../../src/metrics/passed-over.ts'
import { passedOverCounts, passedOverInWords } from '../../src/report/passed-over-words.ts'
import { Totals } from '../../src/report/totals.ts'

function totalsOf(...threads: readonly ((block: CounterBlock) => void)[]): Totals {
  const blocks = threads.map((count) => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const block = new CounterBlock(memory)
    count(block)
    block.publish()
    return memory
  })
  return Totals.read(blocks)
}

describe('what was passed over', () => {
  test('is named by its number, added up over the threads, the most first', () => {
    const totals = totalsOf(
      (block) => {
        for (let i = 0; i < 1200; i++) block.passOver(PassedOver.udpPort, 4790)
        block.passOver(PassedOver.etherType, 0x88cc)
        block.passOver(PassedOver.frame, PassedFrame.llc)
      },
      (block) => {
        for (let i = 0; i < 3; i++) block.passOver(PassedOver.udpPort, 4790)
        block.passOver(PassedOver.udpPort, 53)
        block.passOver(PassedOver.ipProtocol, 50)
      },
    )
    const counts = passedOverCounts(totals.passedOver)
    expect(counts).toEqual({
      udpPorts: { 4790: 1203, 53: 1 },
      etherTypes: { '0x88cc': 1 },
      ipProtocols: { 50: 1 },
      frames: { '802.3 LLC': 1 },
    })
    expect(passedOverInWords(counts)).toEqual([
      'UDP port 4790 1,203 datagrams',
      'UDP port 53 (DNS) 1 datagram',
      'EtherType 0x88cc (LLDP) 1 frame',
      'IP protocol 50 (ESP) 1 packet',
      '802.3 LLC 1 frame',
    ])
  })

  test('is nothing where nothing was', () => {
    expect(passedOverCounts(totalsOf(() => {}).passedOver)).toEqual({})
    expect(passedOverInWords({})).toEqual([])
  })

  test('of many numbers keeps what came most by name, and the sum', () => {
    const totals = totalsOf((block) => {
      for (let i = 0; i < 20_000; i++)
        block.passOver(PassedOver.udpPort, i % 10 === 0 ? 500 : 1024 + ((i * 7919) % 60_000))
    })
    const { udpPorts = {} } = passedOverCounts(totals.passedOver)
    expect(Object.keys(udpPorts).length).toBe(PASSED_OVER.udpPort.places + 1)
    expect(udpPorts[500]).toBeGreaterThan(1900)
    expect(Object.values(udpPorts).reduce((a, b) => a + b, 0)).toBe(20_000)
    expect(passedOverInWords({ udpPorts }).at(-1)).toMatch(/^other UDP ports [\d,]+ datagrams$/)
  })

  test('counts no number higher than it came, whatever the order, and loses none', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 400 }), (numbers) => {
        const totals = totalsOf((block) => {
          for (const number of numbers) block.passOver(PassedOver.ipProtocol, number)
        })
        const { numbers: found, others } = totals.passedOver.counts.ipProtocol
        let sum = others
        for (const [number, n] of found) {
          expect(n).toBeLessThanOrEqual(numbers.filter((one) => one === number).length)
          sum += n
        }
        expect(sum).toBe(numbers.length)
      }),
    )
  })

  test('outlives its thread', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const block = new CounterBlock(memory)
    block.passOver(PassedOver.linkType, 147)
    block.publish()
    const successor = new CounterBlock(memory)
    successor.passOver(PassedOver.linkType, 147)
    successor.publish()
    expect(passedOverCounts(Totals.read([memory]).passedOver)).toEqual({ linkTypes: { 147: 2 } })
  })
})
