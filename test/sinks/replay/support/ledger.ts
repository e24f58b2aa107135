/** Reads a CounterBlock as a person would, and checks that nothing got lost. */
import { OUTCOME_NAMES, REQUEST_DROP_NAMES } from '../../../../src/base/drop.ts'
import {
  ADDED_LATENCIES,
  type CounterBlock,
  LATENCIES,
  OUTCOMES,
  REQUEST_DROPS,
} from '../../../../src/metrics/counters.ts'

/** Counts above 0 by name. */
function named(counters: CounterBlock, base: number, names: readonly string[]): Record<string, number> {
  const out: Record<string, number> = {}
  names.forEach((name, code) => {
    const n = counters.get(base + code)
    if (n !== 0) out[name] = n
  })
  return out
}

export function dropsOf(counters: CounterBlock): Record<string, number> {
  return named(counters, REQUEST_DROPS, REQUEST_DROP_NAMES)
}

export function outcomesOf(counters: CounterBlock): Record<string, number> {
  return named(counters, OUTCOMES, OUTCOME_NAMES)
}

export function latencyCount(counters: CounterBlock): number {
  let n = 0
  for (let i = LATENCIES; i < ADDED_LATENCIES; i++) n += counters.get(i)
  return n
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0)
}

/** given = drops + outcomes + held */
export function accountedFor(counters: CounterBlock, held: number): number {
  return sum(dropsOf(counters)) + sum(outcomesOf(counters)) + held
}
