/**
 * The dashboard, made by Grafana's library from rows/.
 *
 * Run as a program (`node dist/deploy/grafana/build.js`) it writes mirrorshard.json; a test fails when the file differs.
 */
import { realpathSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  TextBoxVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { docsLink, PROMETHEUS } from './panels.ts'
import { of } from './queries.ts'
import { alive } from './rows/alive.ts'
import { losses } from './rows/losses.ts'
import { notRead } from './rows/not-read.ts'
import { origin } from './rows/origin.ts'
import { requests } from './rows/requests.ts'
import { resources } from './rows/resources.ts'

export const DASHBOARD_PATH = 'deploy/grafana/mirrorshard.json'

/** From "is it alive" along the packet's path to the origin, then the process itself, and what it leaves aside. */
const ROWS = [alive, losses, requests, origin, resources, notRead]

/** Stands where docs/ is served: a reserved name, which somebody has to replace once. */
const DOCS = 'https://mirrorshard.example/docs'

export function makeDashboard(): Dashboard {
  const builder = new DashboardBuilder('mirrorshard')
    .uid('mirrorshard')
    .description('A traffic-mirror target and replayer: what arrives, what is lost where, what the origin answers.')
    .tags(['mirrorshard'])
    .time({ from: 'now-3h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .editable()
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('job', 'Job', 'label_values(mirrorshard_workers, job)'))
    .withVariable(choice('instance', 'Instance', 'label_values(up{job=~"$job"}, instance)'))
    .withVariable(
      new TextBoxVariableBuilder('docs')
        .label('Docs')
        .description('Where the folder docs/ of the source tree can be read: the links of the panels lead there.')
        .defaultValue(DOCS),
    )
    .link(docsLink('Operations', 'operations.md'))
    .link(docsLink('What to alert on', 'operations.md#what-to-alert-on'))
    .link(docsLink('Metrics', 'metrics.md'))
    .annotation(
      new AnnotationQueryBuilder()
        .name('Starts')
        .datasource(PROMETHEUS)
        .enable(true)
        .iconColor('blue')
        .expr(`${of('process_start_time_seconds')} * 1000`)
        .useValueForTime(true)
        .titleFormat('{{instance}} started'),
    )
  for (const { title, panels } of ROWS) {
    builder.withRow(new RowBuilder(title))
    for (const panel of panels) builder.withPanel(panel)
  }
  const dashboard = builder.build()
  // Grafana numbers panels when a person saves; with numbers of our own, links to a panel hold from one version to the next.
  for (const [i, panel] of (dashboard.panels ?? []).entries()) panel.id = i + 1
  return dashboard
}

export function renderDashboard(): string {
  return `${JSON.stringify(makeDashboard(), null, 2)}\n`
}

function choice(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(PROMETHEUS)
    .query(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.+')
    .current({ selected: true, text: 'All', value: '$__all' })
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync(DASHBOARD_PATH, renderDashboard())
}
