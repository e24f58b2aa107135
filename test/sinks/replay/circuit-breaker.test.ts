import { describe, expect, test } from 'vitest'
import { CircuitBreaker } from '../../../src/sinks/replay/circuit-breaker.ts'

function breaker() {
  const clock = { us: 0, nowUs: () => clock.us }
  const circuit = new CircuitBreaker({ failures: 3, pauseMs: 100, maxPauseMs: 350 }, clock)
  const fail = (n: number) => {
    for (let i = 0; i < n; i++) circuit.failed(false)
  }
  return { clock, circuit, fail }
}

describe('the circuit breaker', () => {
  test('opens at the N-th failure in a row, not at N failures with an answer between them', () => {
    const { circuit, fail } = breaker()
    fail(2)
    circuit.answered()
    fail(2)
    expect(circuit.isOpen).toBe(false)
    expect(circuit.failed(false)).toBe(true)
    expect(circuit.isOpen).toBe(true)
    expect(circuit.allows(0)).toBe(false)
  })

  test('narrows before it opens: failures and requests in flight together stay below N', () => {
    const { circuit, fail } = breaker()
    expect(circuit.allows(1_000)).toBe(true)
    fail(1)
    expect([0, 1, 2].map((inFlight) => circuit.allows(inFlight))).toEqual([true, true, false])
    fail(1)
    expect([0, 1].map((inFlight) => circuit.allows(inFlight))).toEqual([true, false])
  })

  test('lets one probe through after each pause, and the pause doubles to its limit', () => {
    const { clock, circuit, fail } = breaker()
    fail(3)
    for (const pauseMs of [100, 200, 350, 350]) {
      clock.us += pauseMs * 1000 - 1
      expect(circuit.allows(0)).toBe(false)
      clock.us += 1
      expect(circuit.allows(0)).toBe(true)
      expect(circuit.sent()).toBe(true)
      expect(circuit.allows(1)).toBe(false)
      expect(circuit.failed(true)).toBe(false)
    }
    expect(circuit.downUs()).toBe(1_000_000)
  })

  test('closes with any answer, and the next time the pause is short again', () => {
    const { clock, circuit, fail } = breaker()
    fail(3)
    clock.us += 100_000
    circuit.sent()
    circuit.failed(true)
    clock.us += 200_000
    circuit.sent()
    expect(circuit.answered()).toBe(true)
    expect(circuit.downUs()).toBe(0)
    expect(circuit.allows(50)).toBe(true)
    fail(3)
    clock.us += 100_000
    expect(circuit.allows(0)).toBe(true)
  })

  test('failures of what was sent before it opened do not lengthen the pause', () => {
    const { clock, circuit, fail } = breaker()
    fail(20)
    clock.us += 100_000
    expect(circuit.allows(0)).toBe(true)
  })

  test('a probe that said nothing is followed by another at once', () => {
    const { clock, circuit, fail } = breaker()
    fail(3)
    clock.us += 100_000
    circuit.sent()
    circuit.probeVoid()
    expect(circuit.allows(0)).toBe(true)
  })
})
