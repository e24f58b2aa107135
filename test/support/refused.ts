/** What a thread's tables say was refused or passed over. */
import type { CounterBlock } from '../../src/metrics/counters.ts'
import { PASSED_OVER_AT } from '../../src/metrics/counters.ts'
import { PassedOverTotals, type RefusedName } from '../../src/metrics/passed-over.ts'

/** Number and count of each, as they stand in the table. */
export function numbersOf(counters: CounterBlock, table: RefusedName): [number, number][] {
  const totals = new PassedOverTotals()
  totals.add(counters.values, PASSED_OVER_AT)
  return [...totals.counts[table].numbers]
}
