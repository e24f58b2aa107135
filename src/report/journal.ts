/** What a service says of itself while it runs: JSON lines for machines, plain lines where a person watches the terminal. */
import { type LogLevel, openLog } from '../base/log.ts'

export interface Journal {
  /** @param event one word for machines @param sentence the same for a person */
  info(event: string, sentence: string, details: Readonly<Record<string, unknown>>): unknown
  warn(text: string, details?: Readonly<Record<string, unknown>>): unknown
}

/** @param beforeLine called before a plain line is written: the terminal may show something that must go first */
export function openJournal(stream: NodeJS.WriteStream, level: LogLevel, beforeLine: () => void): Journal {
  if (stream.isTTY !== true) {
    const log = openLog(level)
    return {
      info: (event, _sentence, details) => log.info(details, event),
      warn: (text, details = {}) => log.warn(details, text),
    }
  }
  const line = (text: string) => {
    beforeLine()
    stream.write(`mirrorshard: ${text}\n`)
  }
  const shows = (of: LogLevel) => LEVELS.indexOf(level) <= LEVELS.indexOf(of)
  return {
    info: (_event, sentence) => shows('info') && line(sentence),
    warn: (text) => shows('warn') && line(`warning: ${text}`),
  }
}

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']
