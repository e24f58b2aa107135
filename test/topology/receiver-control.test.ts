import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RECEIVER_CONTROL_BYTES, ReceiverControl } from '../../src/topology/receiver-control.ts'

test('datagrams are counted in full from 32 bits, whatever number of them comes between two looks', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 20 }), (steps) => {
      const memory = new SharedArrayBuffer(RECEIVER_CONTROL_BYTES)
      const main = new ReceiverControl(memory)
      let thread = new ReceiverControl(memory)
      let total = 0
      for (const [i, step] of steps.entries()) {
        // Now and then it is started again, and goes on from what stands there.
        if (i % 3 === 2) thread = new ReceiverControl(memory)
        thread.taken += step
        total += step
        expect(main.datagramsTaken()).toBe(total)
      }
    }),
  )
})
