/** Checks and findings as a table for reading. */
import type { Finding } from '../../report/diagnosis/finding.ts'
import type { Check } from './check.ts'
import type { Running } from './running.ts'

const STATE_WIDTH = 9

export function checkTable(checks: readonly Check[]): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length))
  return checks.flatMap(({ name, state, found, do: action }) => [
    `${state.padEnd(STATE_WIDTH)}${name.padEnd(width)}  ${found}`,
    ...(action === null ? [] : [`${''.padEnd(STATE_WIDTH + width)}  do: ${action}`]),
  ])
}

export function runningTable({ address, findings }: Running): string[] {
  if (findings.length === 0) return [`The mirrorshard that runs at ${address}: nothing is wrong.`]
  return [`The mirrorshard that runs at ${address}:`, ...findings.flatMap(findingLines)]
}

function findingLines({ code, severity, sentence, do: action }: Finding): string[] {
  return [`${severity.padEnd(STATE_WIDTH)}${code}: ${sentence}`, `${''.padEnd(STATE_WIDTH)}do: ${action}`]
}

/** How many of the checks, and of the findings of the one that runs, are wrong or a warning. */
export function tally(checks: readonly Check[], running: Running | null): { wrong: number; warnings: number } {
  const states = [...checks.map(({ state }) => state), ...(running?.findings ?? []).map(({ severity }) => severity)]
  return {
    wrong: states.filter((state) => state === 'wrong').length,
    warnings: states.filter((state) => state === 'warning').length,
  }
}

/** The last line: how it stands. */
export function conclusion({ wrong, warnings }: ReturnType<typeof tally>): string {
  if (wrong + warnings === 0) return 'Nothing is wrong.'
  return `${wrong} wrong, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}.`
}
