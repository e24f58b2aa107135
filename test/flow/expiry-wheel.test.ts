import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExpiryWheel } from '../../src/flow/expiry-wheel.ts'
import { FlowTable } from '../../src/flow/flow-table.ts'

const SECOND = 1_000_000

/** A wheel whose flows are looked at as reassembly does: due ones go, others are put back. */
class Rig {
  private readonly wheel = new ExpiryWheel(new FlowTable(1000, false))
  readonly due = new Map<number, number>()
  looks = 0
  nowUs = 0

  schedule(slot: number, dueUs: number): void {
    this.due.set(slot, dueUs)
    this.wheel.schedule(slot, dueUs)
  }

  cancel(slot: number): void {
    this.due.delete(slot)
    this.wheel.cancel(slot)
  }

  /** @returns slots that went */
  advance(nowUs: number): number[] {
    this.nowUs = nowUs
    const gone: number[] = []
    this.wheel.advance(nowUs, (slot) => {
      this.looks++
      const dueUs = this.due.get(slot)
      if (dueUs === undefined) throw new Error(`slot ${slot} is not on the wheel`)
      if (dueUs > nowUs) this.wheel.schedule(slot, dueUs)
      else {
        this.due.delete(slot)
        gone.push(slot)
      }
    })
    return gone.sort((a, b) => a - b)
  }
}

describe('the wheel', () => {
  test('looks at a flow in the second its time is up, and not after', () => {
    const rig = new Rig()
    rig.advance(100 * SECOND)
    rig.schedule(1, 105 * SECOND)
    rig.schedule(2, 105 * SECOND + 1)
    expect(rig.advance(105 * SECOND - 1)).toEqual([])
    expect(rig.advance(105 * SECOND)).toEqual([1])
    expect(rig.advance(106 * SECOND)).toEqual([2])
    expect(rig.advance(5000 * SECOND)).toEqual([])
  })

  test('forgets none that was scheduled before it was told the time', () => {
    const rig = new Rig()
    rig.schedule(1, 5 * SECOND)
    expect(rig.advance(1_700_000_000 * SECOND)).toEqual([1])
  })

  test('looks at a flow once a time-out, not once a second', () => {
    const rig = new Rig()
    rig.advance(0)
    rig.schedule(1, 600 * SECOND)
    for (let s = 0; s < 600; s++) rig.advance(s * SECOND)
    expect(rig.looks).toBe(0)
  })

  test('does what a list of due times does, through cancelling, jumps over days and time that goes back', () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('schedule' as const),
          slot: fc.nat(9),
          afterUs: fc.oneof(fc.nat(3 * SECOND), fc.nat(900 * SECOND), fc.nat(9000 * SECOND)),
        }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), slot: fc.nat(9) }) },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('advance' as const),
          byUs: fc.oneof(
            fc.nat(SECOND),
            fc.nat(20 * SECOND),
            fc.nat(2000 * SECOND),
            fc.nat(200_000 * SECOND),
            fc.integer({ min: -3000 * SECOND, max: 0 }),
          ),
        }),
      },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), fc.constantFrom(0, 1_700_000_000 * SECOND), (steps, start) => {
        const rig = new Rig()
        rig.advance(start)
        let latest = start
        for (const s of steps) {
          if (s.kind === 'schedule') {
            if (rig.due.has(s.slot)) rig.cancel(s.slot)
            rig.schedule(s.slot, Math.max(latest, rig.nowUs) + s.afterUs)
          } else if (s.kind === 'cancel') {
            if (rig.due.has(s.slot)) rig.cancel(s.slot)
          } else {
            const nowUs = Math.max(0, rig.nowUs + s.byUs)
            const before = [...rig.due]
            const gone = rig.advance(nowUs)
            latest = Math.max(latest, nowUs)
            for (const slot of gone) expect(before.find(([other]) => other === slot)![1]).toBeLessThanOrEqual(nowUs)
            // Nothing stays longer than the wheel's grain of a second.
            for (const [slot, dueUs] of rig.due)
              expect(dueUs, `slot ${slot}`).toBeGreaterThan(nowUs < latest ? 0 : nowUs - 2 * SECOND)
          }
        }
        const left = [...rig.due.keys()].sort((a, b) => a - b)
        expect(rig.advance(latest + 1e6 * SECOND)).toEqual(left)
      }),
      { numRuns: 300 },
    )
  })
})
