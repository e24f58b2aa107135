/** What commands say while they work and at their end: in words for people, or as JSON lines where they ask for them. */
import { isLogged, type LogFormat, type LogLevel } from '../base/log-level.ts'
import { printable } from '../base/printable.ts'
import { LOG_EVENTS } from '../report/log-events.ts'
import { openServiceLog, type ServiceLog } from '../report/service-log.ts'
import { type Summary, summaryInWords } from '../report/summary.ts'
import { tell, warn } from './output.ts'

interface CommandLogOptions {
  readonly logFormat: LogFormat | null
  readonly logLevel: LogLevel
}

/**
 * Of commands that end by themselves: text unless JSON is asked for, wherever standard error leads.
 * @param beforeLine the terminal may show something that must go first
 */
export function openCommandLog(
  { logFormat, logLevel }: CommandLogOptions,
  beforeLine: () => void = () => {},
): Pick<ServiceLog, 'format' | 'event' | 'flush'> {
  if (logFormat === 'json') return openServiceLog(process.stderr, { level: logLevel, format: 'json' })
  return {
    format: 'text',
    event: (name, sentence) => {
      const { level } = LOG_EVENTS[name]
      if (!isLogged(level, logLevel)) return
      beforeLine()
      if (level === 'warn') warn(sentence)
      else tell(`mirrorshard: ${printable(sentence)}`)
    },
    flush: () => {},
  }
}

/** The final counts: lines of words, or one JSON line. */
export function tellSummary(
  log: Pick<ServiceLog, 'format' | 'event'>,
  summary: Summary,
  verb: 'replayed' | 'printed' | 'discarded',
): void {
  const lines = summaryInWords(summary, verb)
  if (log.format === 'json') log.event('summary', lines[0]!, { ...summary })
  else for (const line of lines) tell(line)
}
