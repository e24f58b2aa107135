import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { withAlerts } from '../../deploy/prometheus/render-docs.ts'
import { RULES_PATH, readRules, SEVERITIES } from '../../deploy/prometheus/rules.ts'
import { anchorsOf } from '../support/anchors.ts'
import { wrongNames } from './support/promql-names.ts'

const ROOT = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8')
const rules = readRules(read(RULES_PATH))

describe('deploy/prometheus/mirrorshard.rules.yml', () => {
  test('docs/operations.md shows it as it is (npm run docs writes it)', () => {
    const page = read('docs/operations.md')
    expect(withAlerts(page, rules)).toBe(page)
  })

  test('speaks of metrics, labels and values that exist, and of recorded names that it records', () => {
    const recorded = new Set(rules.recorded.map(({ record }) => record))
    const exprs = [...rules.recorded, ...rules.alerts].map(({ expr }) => expr)
    expect(exprs.flatMap((expr) => wrongNames(expr))).toEqual([])
    const used = exprs.flatMap((expr) => expr.match(/\bmirrorshard:[\w:]+/g) ?? [])
    expect(used.filter((name) => !recorded.has(name))).toEqual([])
    expect([...recorded].filter((name) => !used.includes(name))).toEqual([])
  })

  test('gives each alert a severity, a time to wait, and words', () => {
    expect(rules.alerts.length).toBeGreaterThan(30)
    const names = rules.alerts.map(({ alert }) => alert)
    expect(new Set(names).size).toBe(names.length)
    for (const { alert, for: wait, labels, annotations } of rules.alerts) {
      expect(alert).toMatch(/^Mirrorshard[A-Z]\w+$/)
      expect([alert, wait]).toEqual([alert, expect.stringMatching(/^[1-9]\d*m$/)])
      expect(SEVERITIES).toContain(labels.severity)
      // The page cannot fill in a template, and a phone shows no long line.
      expect([alert, annotations.description]).toEqual([alert, expect.not.stringContaining('{{')])
      expect(annotations.summary.length).toBeLessThan(140)
    }
  })

  test('fills in values that a person can read, and labels that the alert has', () => {
    const fields = rules.alerts.flatMap(({ alert, annotations }) =>
      [...annotations.summary.matchAll(/\{\{(.*?)\}\}/g)].map(([, field]) => [alert, field!.trim()]),
    )
    expect(fields.length).toBeGreaterThan(50)
    const forms = /^(\$labels\.(job|instance|thread|cause|reason|part)|\$value \| humanize(Percentage|1024|Duration)?)$/
    expect(fields.filter(([, field]) => !forms.test(field!))).toEqual([])
  })

  test('leads from each alert to a place in the docs', () => {
    for (const { alert, annotations } of rules.alerts) {
      const [path = '', anchor] = annotations.runbook_url.split('#')
      const page = read(path)
      if (anchor !== undefined) expect([alert, anchorsOf(page).has(anchor)]).toEqual([alert, true])
    }
  })
})

describe('deploy/prometheus/tests', () => {
  const files = readdirSync(new URL('deploy/prometheus/tests/', ROOT)).map((name) => `deploy/prometheus/tests/${name}`)

  test('let each alert fire at one time of a scenario, and not at another', () => {
    const proven = files.flatMap((file) => {
      const { tests } = parse(read(file)) as { tests: Scenario[] }
      return tests.flatMap((scenario) => {
        const times = firingAt(scenario)
        const all = new Set(times.flatMap((names) => [...names]))
        return [...all].filter((name) => times.some((names) => !names.has(name)))
      })
    })
    const expected = rules.alerts.map(({ alert }) => alert)
    expect([...new Set(proven)].sort()).toEqual(expected.sort())
  })

  test('know several instances and restarts', () => {
    for (const name of ['alive', 'loss', 'origin', 'threads', 'limits']) {
      const text = read(`deploy/prometheus/tests/${name}.test.yml`)
      expect(new Set(text.match(/instance="\w+"/g)).size).toBeGreaterThan(2)
      // A counter that begins again at 0 within its series.
      expect(text).toMatch(/values: '\d+\+\d+x\d+ 0\+\d+x\d+'/)
    }
  })
})

interface Scenario {
  readonly promql_expr_test?: readonly { readonly exp_samples: readonly { readonly labels: string }[] }[]
  readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[]
}

/** Names of the alerts that fire, at each time that is looked at. */
function firingAt({ promql_expr_test = [], alert_rule_test = [] }: Scenario): Set<string>[] {
  const byQuery = promql_expr_test.map(
    ({ exp_samples }) => new Set(exp_samples.map(({ labels }) => /alertname="(\w+)"/.exec(labels)![1]!)),
  )
  const byName = alert_rule_test.map(({ alertname, exp_alerts }) => new Set(exp_alerts.length === 0 ? [] : [alertname]))
  return [...byQuery, ...byName]
}
