/** docs/soak.md and its plots, from the files that runs have left. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CHECKOUT } from '../support/machine.ts'
import { count } from '../support/table.ts'
import { totalsOf } from './page.ts'
import { drawRun } from './plots.ts'
import type { RestartsFile } from './restarts.ts'
import type { RunFile } from './run.ts'
import { type Criterion, recovery, recoveryOf } from './verdict.ts'

const PAGE = 'docs/soak.md'

/** Everything between a pair of these is written here, everything else by people. */
const SECTIONS = { soak: 'figures of the soak', restarts: 'figures of the restarts' } as const

/** @throws Error where a file is no run's, or the page has lost its marks */
export function writeDocs(files: readonly string[], say: (line: string) => void): void {
  let page = readFileSync(join(CHECKOUT, PAGE), 'utf8')
  for (const path of files) {
    const run = JSON.parse(readFileSync(path, 'utf8')) as RunFile | RestartsFile
    if (run.kind !== 'soak' && run.kind !== 'restarts') throw new Error(`${path} is no run of the soak`)
    const text = run.kind === 'soak' ? soakSection(run, say) : restartsSection(run)
    page = replaceSection(page, SECTIONS[run.kind], text)
  }
  writeFileSync(join(CHECKOUT, PAGE), page)
  say(PAGE)
}

/** @throws Error where the marks are not there */
export function replaceSection(page: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`${PAGE} has no ${begin} … ${end}`)
  return `${page.slice(0, from + begin.length)}\n${text.trim()}\n${page.slice(to)}`
}

function soakSection(run: RunFile, say: (line: string) => void): string {
  for (const { name, svg } of drawRun(run)) {
    const path = `docs/plots/soak-${name}.svg`
    writeFileSync(join(CHECKOUT, path), svg)
    say(path)
  }
  const { options } = run
  // By the rule as it is now: what was seen is in the file, and the rule may have been mended since.
  const again = recovery(run.evidence)
  const criteria = run.criteria.map((criterion) => (criterion.name === again.name ? again : criterion))
  const isPassed = criteria.every((criterion) => criterion.isPassed !== false)
  for (const { name, isPassed: holds, detail } of criteria) if (holds === false) say(`FAILED: ${name}: ${detail}`)
  return `
${run.when.slice(0, 10)}: ${options.minutes} min, ${count(options.rate)} packets/s, \`--workers ${options.workers} --receivers ${options.receivers}\`, seed ${options.seed}: **${isPassed ? 'passed' : 'FAILED'}**. ${run.machine.join('; ')}.

![Memory and descriptors over the run](plots/soak-memory.svg)

![Latency over the run](plots/soak-latency.svg)

![What was dropped and what failed over the run](plots/soak-drops.svg)

![Traffic, queues and health over the run](plots/soak-traffic.svg)

${criteriaTable(criteria)}

| event | times | recovered after: median, longest (s) | longest bound (s) |
| --- | ---: | ---: | ---: |
${recoveries(run)
  .map((row) => `| ${row.join(' | ')} |`)
  .join('\n')}

| | count |
| --- | ---: |
${totalsOf(run)
  .map((row) => `| ${row.join(' | ')} |`)
  .join('\n')}
`
}

/** Of the same kind of event, whichever thread it struck. */
function recoveries({ evidence: { events } }: RunFile): string[][] {
  const kinds = new Map<string, { times: number[]; boundS: number }>()
  for (const event of events) {
    const kind = event.fault.kind === 'kill' ? `${event.fault.thread} killed: ${event.fault.how}` : event.name
    const known = kinds.get(kind) ?? { times: [], boundS: 0 }
    known.times.push(recoveryOf(event, events) ?? Number.POSITIVE_INFINITY)
    known.boundS = Math.max(known.boundS, event.boundS)
    kinds.set(kind, known)
  }
  const inWords = (seconds: number) => (Number.isFinite(seconds) ? seconds.toFixed(1) : 'never')
  return [...kinds]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([kind, { times, boundS }]) => {
      times.sort((a, b) => a - b)
      return [
        kind,
        String(times.length),
        `${inWords(times[times.length >> 1]!)}, ${inWords(times.at(-1)!)}`,
        boundS.toFixed(0),
      ]
    })
}

function restartsSection(run: RestartsFile): string {
  const { options, restarts, seconds, summary } = run
  return `
${run.when.slice(0, 10)}: ${count(summary.requests.parsed)} requests in ${seconds.toFixed(0)} s, ${restarts.graceful} graceful and ${restarts.hard} hard restarts of nginx, one every ${options.everySeconds} s: **${run.isPassed ? 'passed' : 'FAILED'}**. ${run.machine.join('; ')}.

${criteriaTable(run.criteria)}
`
}

function criteriaTable(criteria: readonly Criterion[]): string {
  const rows = criteria.map(
    ({ name, isPassed, detail }) =>
      `| ${name} | ${isPassed === null ? 'not judged' : isPassed ? 'yes' : '**NO**'} | ${detail.replaceAll('|', '\\|')} |`,
  )
  return ['| criterion | holds | what was seen |', '| --- | --- | --- |', ...rows].join('\n')
}
