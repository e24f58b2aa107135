import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { DASHBOARD_PATH, renderDashboard } from '../../deploy/grafana/build.ts'
import { anchorsOf } from '../support/anchors.ts'
import { wrongNames } from './support/promql-names.ts'

const ROOT = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8')

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: { readonly uid: string }
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly links?: readonly { readonly url: string }[]
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly legendFormat?: string }[]
}

describe(DASHBOARD_PATH, () => {
  const text = read(DASHBOARD_PATH)
  const { panels, links } = JSON.parse(text) as { panels: readonly Panel[]; links: readonly { readonly url: string }[] }
  const shown = panels.filter(({ type }) => type !== 'row')

  test('is what deploy/grafana/rows/ says (npm run docs writes it)', () => {
    expect(renderDashboard()).toBe(text)
  })

  test('asks for metrics, labels and values that exist, of the chosen instances', () => {
    const exprs = shown.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    expect(exprs.length).toBeGreaterThan(60)
    expect(exprs.flatMap(wrongNames)).toEqual([])
    // Only what Prometheus says of alerts has no instance of its own.
    const free = exprs.flatMap((expr) =>
      [...expr.matchAll(/\b(?:mirrorshard|process|nodejs)_\w+(\{[^}]*\})?/g)].filter(
        ([, matchers = '']) => !matchers.startsWith('{job=~"$job", instance=~"$instance"'),
      ),
    )
    expect(free).toEqual([])
  })

  test('says of each panel what it shows, in which unit, and of each line what it is', () => {
    for (const { title, description = '', datasource, fieldConfig, targets = [] } of shown) {
      expect([title, description.length > 20]).toEqual([title, true])
      expect([title, fieldConfig?.defaults.unit]).toEqual([title, expect.any(String)])
      expect([title, datasource?.uid]).toEqual([title, `\${datasource}`])
      for (const { legendFormat } of targets) expect([title, legendFormat]).toEqual([title, expect.stringMatching(/./)])
    }
  })

  test('leads to places in the docs that exist', () => {
    const urls = [...links, ...shown.flatMap((panel) => panel.links ?? [])].map(({ url }) => url)
    expect(urls.length).toBeGreaterThan(25)
    for (const url of urls) {
      const [, page, anchor] = /^\$\{docs\}\/([\w-]+\.md)(?:#(.+))?$/.exec(url)!
      if (anchor !== undefined) expect([url, anchorsOf(read(`docs/${page}`)).has(anchor)]).toEqual([url, true])
    }
  })

  test('fills its 24 columns without a panel upon another', () => {
    const taken = new Set<string>()
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, taken.has(`${x},${y}`)]).toEqual([title, false])
          taken.add(`${x},${y}`)
        }
    }
    const height = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h))
    expect(taken.size).toBe(24 * height)
  })
})
