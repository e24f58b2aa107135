/**
 * The part of docs/operations.md between two marks, made from mirrorshard.rules.yml.
 *
 * Run as a program (`node dist/deploy/prometheus/render-docs.js`) it writes the page; a test fails when the page differs.
 */
import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Alert, oneLine, RULES_PATH, type Rules, readRules, type Severity } from './rules.ts'

const PAGE = 'docs/operations.md'
const BEGIN = `<!-- Made from ${RULES_PATH}. Do not edit: change that file and run \`npm run docs\`. -->`
const END = '<!-- End of what is made. -->'

const TITLES: Readonly<Record<Severity, string>> = {
  page: 'Page someone',
  ticket: 'Look at it the next morning',
}

/** @param page the whole of docs/operations.md @returns the same with its tables as the rules have them */
export function withAlerts(page: string, rules: Rules): string {
  const from = page.indexOf(BEGIN)
  const to = page.indexOf(END)
  if (from < 0 || to < from) throw new Error(`${PAGE}: expected the lines ${BEGIN} and ${END}`)
  return `${page.slice(0, from + BEGIN.length)}\n\n${tables(rules)}\n${page.slice(to)}`
}

function tables({ alerts, recorded }: Rules): string {
  const byAlert = Object.entries(TITLES).map(([severity, title]) => {
    const rows = alerts.filter(({ labels }) => labels.severity === severity).map(row)
    return `**${title}** (\`severity="${severity}"\`)\n\n| alert | fires when | it means |\n| --- | --- | --- |\n${rows.join('\n')}\n`
  })
  const ratios = recorded.map(({ record, expr }) => `| \`${record}\` | ${code(expr)} |`)
  return [...byAlert, `**Computed for them**\n\n| name | is |\n| --- | --- |\n${ratios.join('\n')}\n`].join('\n')
}

function row({ alert, expr, for: duration, annotations }: Alert): string {
  const { description, runbook_url } = annotations
  const link = posix.relative(posix.dirname(PAGE), runbook_url).replace(/^operations\.md/, '')
  return `| <a id="alert-${alert}"></a>${alert} | ${code(expr)} for ${duration} | ${marked(description)} [More](${link}) |`
}

function code(expr: string): string {
  return `\`${oneLine(expr).replaceAll('|', '\\|')}\``
}

/** Names of metrics and options as code: in an alert they are plain text. */
function marked(text: string): string {
  return text.trim().replaceAll(/mirrorshard_\w+|--[a-z][a-z-]+|\w+="\w+"|net\.ipv4\.\w+|(?<= )\/metrics/g, '`$&`')
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync(PAGE, withAlerts(readFileSync(PAGE, 'utf8'), readRules(readFileSync(RULES_PATH, 'utf8'))))
}
