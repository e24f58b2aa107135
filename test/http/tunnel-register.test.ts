import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TUNNEL_REGISTER_BYTES, TunnelRegister } from '../../src/http/tunnel-register.ts'

test('what was added is known until it is deleted, as in a set', () => {
  const hash = fc.oneof(fc.integer(), fc.constantFrom(0, 1, 0x4001, 0x8001, -1))
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), hash), { maxLength: 6 }), (steps) => {
      const register = new TunnelRegister()
      const model = new Set<number>()
      // 0 marks an empty slot, so flows of hash 0 and 1 share an entry.
      const own = (h: number) => (h === 0 ? 1 : h)
      for (const [isAdd, h] of steps) {
        if (isAdd) {
          register.add(h)
          model.add(own(h))
        } else {
          register.delete(h)
          model.delete(own(h))
        }
        for (const [, other] of steps) expect(register.has(other)).toBe(model.has(own(other)))
      }
    }),
  )
})

test('a restarted shard knows what the previous worker knew', () => {
  const memory = new SharedArrayBuffer(2 * TUNNEL_REGISTER_BYTES)
  new TunnelRegister(memory, TUNNEL_REGISTER_BYTES).add(77)
  expect(new TunnelRegister(memory, TUNNEL_REGISTER_BYTES).has(77)).toBe(true)
  expect(new TunnelRegister(memory, 0).has(77)).toBe(false)
})

test('more flows than fit near one slot push out older knowledge, never the newest', () => {
  const register = new TunnelRegister()
  for (let i = 0; i < 100; i++) {
    register.add(5 + i * 0x4000)
    expect(register.has(5 + i * 0x4000)).toBe(true)
  }
})

test('adding twice and deleting once leaves nothing', () => {
  const register = new TunnelRegister()
  register.add(9)
  register.add(9)
  register.delete(9)
  expect(register.has(9)).toBe(false)
})
