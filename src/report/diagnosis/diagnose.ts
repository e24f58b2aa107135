/** What is wrong with what arrives and what leaves: a function of two readings of a service. */
import type { Finding, Setup, Severity, Silence } from './finding.ts'
import { notReadable } from './not-readable.ts'
import { notReplayed } from './not-replayed.ts'
import { nothingArrives } from './nothing-arrives.ts'
import { between, type Reading } from './reading.ts'

const ORDER: readonly Severity[] = ['wrong', 'warning', 'note']

/**
 * @param before an earlier reading: what came between the two is judged
 * @returns the worst first; within a severity, what is nearest to the wire first
 */
export function diagnose(before: Reading, now: Reading, silence: Silence, setup: Setup): Finding[] {
  const situation = { since: between(before, now), before, now, silence, setup }
  const all = [...nothingArrives(situation), ...notReadable(situation), ...notReplayed(situation)]
  // Where something nearer to the wire is wrong, it is why.
  const isExplained = all.some(({ code, severity }) => severity === 'wrong' && code !== 'noneReplayed')
  const findings = isExplained ? all.filter(({ code }) => code !== 'noneReplayed') : all
  return findings.sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity))
}
