import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Layer } from '../../src/decapsulation/layer.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { vxlan } from '../support/packets.ts'
import { FRAME4, FRAME6 } from './samples.ts'
import { Walker } from './walk.ts'

/** Every VNI, and none: asks nothing, but only the walk can answer. */
const EVERY_VNI = { has: () => true } as unknown as ReadonlySet<number>

const edits = fc.array(fc.record({ at: fc.nat({ max: 60 }), value: fc.nat({ max: 255 }) }), { maxLength: 4 })

test('the fast path finds what the slow path finds', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(FRAME4, FRAME6),
      edits,
      fc.nat({ max: 20 }),
      fc.nat({ max: 30 }),
      fc.boolean(),
      (frame, changes, cut, padding, isMirrored) => {
        const changed = Buffer.concat([frame.subarray(0, frame.length - cut), Buffer.alloc(padding)])
        for (const { at, value } of changes) if (at < changed.length) changed[at] = value
        const given = isMirrored
          ? { entry: { layer: Layer.vxlan }, bytes: vxlan(77, changed) }
          : { entry: { linkType: LinkType.ethernet }, bytes: changed }
        const straight = new Walker()
        const walked = new Walker({ vnis: EVERY_VNI })
        expect(straight.walk(given)).toEqual(walked.walk(given))
        expect(Buffer.from(straight.counters.values.buffer).equals(Buffer.from(walked.counters.values.buffer))).toBe(
          true,
        )
      },
    ),
    { numRuns: 3000 },
  )
})
