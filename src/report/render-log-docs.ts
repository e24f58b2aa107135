/**
 * docs/log.md, made from the table of events.
 *
 * Run as a program (`node dist/src/report/render-log-docs.js`) it writes the file; a test fails when the file differs.
 */
import { realpathSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MOST_LINES, WINDOW_MS } from './event-limiter.ts'
import { FIELD_HELP, LOG_SECTIONS, type LogEventEntry } from './log-events.ts'

const INTRODUCTION = `# The log

<!-- Made by src/report/render-log-docs.ts from src/report/log-events.ts. Do not edit: run \`npm run docs\`. -->

What is told on standard error, and what to do about it. Counts are in [metrics.md](metrics.md); the log tells when something begins and when it ends.

**Form.** \`--log-format text\` writes one sentence a line, \`--log-format json\` one JSON object a line. Without it \`run\` writes text on a terminal and JSON elsewhere. Other commands write text.

\`\`\`
mirrorshard: warning: origin staging:8080 is down: connection refused: nothing listens there (ECONNREFUSED); 9 requests failed, circuit open in 2 of 2 workers
{"level":40,"time":"2026-11-28T20:11:05.022Z","name":"mirrorshard","origin":"staging:8080","outcome":"refused","code":"ECONNREFUSED",…,"event":"origin-down","text":"origin staging:8080 is down: …","msg":"origin staging:8080 is down: …"}
\`\`\`

**Every JSON line** has \`level\` (30 info, 40 warning, 50 error), \`time\` (ISO 8601, UTC) and \`name\` (\`mirrorshard\`). Events also have \`event\`, the name in the tables below, and \`text\`, the sentence.
\`msg\` is the event's name at level info, and the sentence otherwise. Search for \`event\`, under systemd for example with \`journalctl -u mirrorshard -o cat | grep '"event":"origin-down"'\`.

**Secrets.** No line holds a credential, a header's value, a request's path, or a body. Names of hosts and options are in it, and texts of errors.

**How many.** Everything is told when it begins and when it ends: one line each a minute for one subject, such as an origin or a kind of loss. A second cause of an outage has a line too, and a thread may die 12 times.
What comes and goes more often is held back. When the minute is over, its last line is told, with \`timesMore\` (how often it began besides) and \`heldSeconds\` (how long the line waited).
All lines together are at most ${MOST_LINES} in ${WINDOW_MS / 1000} s; then \`log-held-back\` says how many were held back. Lines about steps of the run itself (receiving, reload, drain, summary) are never held back.

**Level.** \`--log-level warn\` leaves out info, which includes every line that says that something is over. The summary is written at every level.

**Not in the log:** errors in options, and the last line of a process that fails, are text on standard error.
`

export function renderLogDocs(): string {
  const sections = Object.entries(LOG_SECTIONS).map(
    ([title, events]) =>
      `## ${title}\n\n| event | level | it means | what to do | fields |\n| --- | --- | --- | --- | --- |\n${Object.entries(
        events,
      )
        .map(([name, entry]) => row(name, entry))
        .join('\n')}\n`,
  )
  const fields = Object.entries(FIELD_HELP).map(
    ([name, help]) => `| \`${name}\` | ${help} | ${eventsWith(name).join(', ')} |`,
  )
  return [
    INTRODUCTION,
    ...sections,
    `## Fields\n\n| field | what it is | in |\n| --- | --- | --- |\n${fields.join('\n')}\n`,
  ].join('\n')
}

/** Each row has an anchor, `event-name`. */
function row(name: string, { level, means, todo, fields }: LogEventEntry): string {
  const named = fields.map((field) => `\`${field}\``).join(' ')
  return `| <a id="event-${name}"></a>\`${name}\` | ${level} | ${means} | ${todo} | ${named} |`
}

/** Losses have the same fields: once for all of them. */
function eventsWith(field: string): string[] {
  const { Losses, ...others } = LOG_SECTIONS
  const has = ([, entry]: [string, LogEventEntry]) => (entry.fields as readonly string[]).includes(field)
  const names = Object.values(others).flatMap((events) => Object.entries<LogEventEntry>(events).filter(has))
  const ofLosses = Object.entries<LogEventEntry>(Losses).some(has) ? ['[losses](#losses)'] : []
  return [...names.map(([name]) => `\`${name}\``), ...ofLosses]
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync('docs/log.md', renderLogDocs())
}
