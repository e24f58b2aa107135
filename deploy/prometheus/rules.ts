/** mirrorshard.rules.yml, as those want it who read it: the docs, and the tests that hold it to its own rules. */
import { parse } from 'yaml'

export const RULES_PATH = 'deploy/prometheus/mirrorshard.rules.yml'

/** A query that Prometheus stores under a name. */
export interface Recorded {
  readonly record: string
  readonly expr: string
}

export const SEVERITIES = ['page', 'ticket'] as const
export type Severity = (typeof SEVERITIES)[number]

export interface Alert {
  readonly alert: string
  readonly expr: string
  /** As Prometheus writes a duration: `5m`. */
  readonly for: string
  readonly labels: { readonly severity: Severity }
  readonly annotations: {
    /** One line, with the value and where it is: a template. */
    readonly summary: string
    /** What it means and what to do first: plain text, which docs/operations.md shows too. */
    readonly description: string
    /** A path in the source tree, with the place in the page. */
    readonly runbook_url: string
  }
}

export interface Rules {
  readonly recorded: readonly Recorded[]
  readonly alerts: readonly Alert[]
}

/** @param text of the file */
export function readRules(text: string): Rules {
  const { groups } = parse(text) as { groups: { rules: (Recorded | Alert)[] }[] }
  const rules = groups.flatMap((group) => group.rules)
  return {
    recorded: rules.filter((rule): rule is Recorded => 'record' in rule),
    alerts: rules.filter((rule): rule is Alert => 'alert' in rule),
  }
}

/** On one line. */
export function oneLine(expr: string): string {
  return expr.trim().replaceAll(/\s+/g, ' ')
}
