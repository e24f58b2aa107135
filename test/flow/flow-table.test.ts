import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fiveTupleHash } from '../../src/dispatch/hash.ts'
import { FlowTable } from '../../src/flow/flow-table.ts'
import { ipv4Address, ipv6Address } from '../support/packets.ts'
import { reversed, type ViewFields, viewOf } from '../support/views.ts'

/** A view with its hash; `bits` keeps few of them, so that flows collide. */
function flow(fields: ViewFields, vniInKey = false, bits = -1) {
  const view = viewOf(fields)
  view.hash = fiveTupleHash(view.bytes, view.ipAt, view.ipVersion, view.tcpAt, vniInKey ? view.vni + 2 : 0, 7) & bits
  return view
}

const A: ViewFields = { source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 4000, destinationPort: 80 }

describe('a flow', () => {
  test('is found by the packets of both directions; direction 0 is the first packet’s', () => {
    for (const fields of [A, { ...A, source: '2001:db8::1', destination: '2001:db8::2' }, { ...A, sourcePort: 80 }]) {
      const table = new FlowTable(10, false)
      expect(table.find(flow(fields))).toBe(-1)
      const slot = table.insert(flow(fields))
      expect(table.find(flow(fields))).toBe(slot * 2)
      expect(table.find(flow(reversed(fields)))).toBe(slot * 2 + 1)
    }
  })

  test('knows who talks', () => {
    const table = new FlowTable(10, false)
    const slot = table.insert(flow(A))
    expect([0, 1].map((direction) => table.portOf(slot, direction))).toEqual([4000, 80])
    expect([0, 1].map((direction) => table.addressOf(slot, direction)[0])).toEqual([
      ipv4Address('10.0.0.1').readInt32BE(),
      ipv4Address('10.0.0.2').readInt32BE(),
    ])
    const six = table.insert(flow({ ...A, source: '2001:db8::1', destination: 'fe80::2' }))
    const words = (text: string) => [0, 4, 8, 12].map((at) => ipv6Address(text).readInt32BE(at))
    expect([0, 1].map((direction) => [...table.addressOf(six, direction)])).toEqual([
      words('2001:db8::1'),
      words('fe80::2'),
    ])
  })

  test('of another VNI is the same flow, or another where the VNI is in the key', () => {
    for (const vniInKey of [false, true]) {
      const table = new FlowTable(10, vniInKey)
      table.insert(flow({ ...A, vni: 1 }, vniInKey))
      expect(table.find(flow({ ...A, vni: 2 }, vniInKey)) < 0).toBe(vniInKey)
      expect(table.find(flow({ ...A, vni: 2, hash: 0 }, false, 0)) < 0).toBe(true)
    }
  })

  test('of other VLAN tags is the same flow, or another where they are in the key', () => {
    for (const vlanInKey of [false, true]) {
      const table = new FlowTable(10, vlanInKey, vlanInKey)
      const slot = table.insert(flow({ ...A, network: 5 }))
      expect(table.find(flow({ ...A, network: 6 })) < 0).toBe(vlanInKey)
      expect(table.find(flow(reversed({ ...A, network: 5 })))).toBe(slot * 2 + 1)
    }
  })

  test('begins with nothing of what used its slot before', () => {
    const table = new FlowTable(10, false)
    const slot = table.insert(flow(A))
    const columns = ['base', 'nextSeq', 'highAck', 'finSeq', 'truncatedSeq', 'directionFlags', 'outOfWindow'] as const
    for (const column of columns) table[column].fill(9, slot * 2, slot * 2 + 2)
    table.flags[slot] = table.packets[slot] = 9
    table.remove(slot)
    expect(table.insert(flow({ ...A, sourcePort: 1 }))).toBe(slot)
    for (const column of columns) expect([...table[column].subarray(slot * 2, slot * 2 + 2)], column).toEqual([0, 0])
    expect([table.flags[slot], table.packets[slot]]).toEqual([0, 0])
  })

  test('beyond the limit is refused, until one has gone', () => {
    const table = new FlowTable(1500, false)
    const slots = Array.from({ length: 1500 }, (_, i) => table.insert(flow({ ...A, sourcePort: i })))
    expect(new Set(slots).size).toBe(1500)
    expect(table.capacity).toBe(1500)
    expect(table.insert(flow({ ...A, sourcePort: 2000 }))).toBe(-1)
    table.remove(slots[700]!)
    expect(table.insert(flow({ ...A, sourcePort: 2000 }))).toBe(slots[700])
  })
})

describe('the table', () => {
  test('holds exactly what a Map would, through any inserts and removals, growth and collisions', () => {
    const which = fc.record({
      client: fc.integer({ min: 1, max: 40 }),
      port: fc.integer({ min: 1, max: 60 }),
      isV6: fc.boolean(),
      vni: fc.integer({ min: -1, max: 1 }),
      isReverse: fc.boolean(),
    })
    const step = fc.record({ which, action: fc.constantFrom('insert', 'insert', 'insert', 'remove', 'find') })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 400 }),
        fc.boolean(),
        fc.constantFrom(-1, 7, 0),
        fc.integer({ min: 1, max: 300 }),
        (steps, vniInKey, bits, maxFlows) => {
          const table = new FlowTable(maxFlows, vniInKey)
          const model = new Map<string, { slot: number; isReverse: boolean }>()
          for (const { which: w, action } of steps) {
            const net = w.isV6 ? '2001:db8::' : '10.0.0.'
            const fields = {
              source: `${net}${w.client}`,
              destination: `${net}99`,
              sourcePort: w.port,
              destinationPort: 80,
              vni: w.vni,
            }
            const view = flow(w.isReverse ? reversed(fields) : fields, vniInKey, bits)
            const name = `${fields.source} ${w.port} ${vniInKey ? w.vni : ''}`
            const known = model.get(name)
            const expected = known === undefined ? -1 : known.slot * 2 + (known.isReverse === w.isReverse ? 0 : 1)
            expect(table.find(view)).toBe(expected)
            if (action === 'insert' && known === undefined) {
              const slot = table.insert(view)
              expect(slot < 0).toBe(model.size >= maxFlows)
              if (slot >= 0) model.set(name, { slot, isReverse: w.isReverse })
            } else if (action === 'remove' && known !== undefined) {
              table.remove(known.slot)
              model.delete(name)
            }
            expect(table.size).toBe(model.size)
          }
          expect([...table.slots()]).toEqual([...model.values()].map(({ slot }) => slot).sort((a, b) => a - b))
        },
      ),
      { numRuns: 200 },
    )
  })

  test('grows past its first size and finds every flow again', () => {
    const table = new FlowTable(100_000, false)
    const views = Array.from({ length: 5000 }, (_, i) => flow({ ...A, source: `10.1.${i >> 8}.${i & 255}` }))
    const slots = views.map((view) => table.insert(view))
    expect(views.map((view) => table.find(view))).toEqual(slots.map((slot) => slot * 2))
  })

  test('does not silt up: after a million inserts and removals a look-up costs what it did', () => {
    const table = new FlowTable(2000, false)
    const views = Array.from({ length: 1000 }, (_, i) => flow({ ...A, sourcePort: i + 1 }))
    const stranger = flow({ ...A, sourcePort: 60_000 })
    const slots = views.map((view) => table.insert(view))
    const lookUps = () => {
      const started = performance.now()
      for (let i = 0; i < 300_000; i++) {
        stranger.hash = Math.imul(i, 0x9e3779b1)
        table.find(stranger)
      }
      return performance.now() - started
    }
    lookUps()
    const before = Math.min(lookUps(), lookUps(), lookUps())
    for (let i = 0; i < 1_000_000; i++) {
      const which = Math.imul(i, 2654435761) >>> 22
      if (which >= 1000) continue
      const view = views[which]!
      table.remove(slots[which]!)
      view.hash = (view.hash + 0x9e3779b1) | 0
      slots[which] = table.insert(view)
    }
    expect(table.size).toBe(1000)
    expect(table.capacity).toBe(1024)
    expect(views.map((view) => table.find(view))).toEqual(slots.map((slot) => slot * 2))
    expect(Math.min(lookUps(), lookUps(), lookUps())).toBeLessThan(before * 4 + 5)
  })
})
