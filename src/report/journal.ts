/** What a service says of itself while it runs: JSON lines for machines, plain lines where a person watches the terminal. */
import type { Logger, LogLevel } from '../base/log.ts'
import { printable } from '../base/printable.ts'

export interface Journal {
  /** Loads what the first line needs: at a time of the caller's choice, not the first line's. */
  prepare(): void
  /** @param event one word for machines @param sentence the same for a person */
  info(event: string, sentence: string, details: Readonly<Record<string, unknown>>): unknown
  warn(text: string, details?: Readonly<Record<string, unknown>>): unknown
}

/** @param beforeLine called before a plain line is written: the terminal may show something that must go first */
export function openJournal(stream: NodeJS.WriteStream, level: LogLevel, beforeLine: () => void): Journal {
  if (stream.isTTY !== true) {
    const log = new LazyLog(level)
    return {
      prepare: () => log.load(),
      info: (event, _sentence, details) => log.write((logger) => logger.info(details, event)),
      warn: (text, details = {}) => log.write((logger) => logger.warn(details, printable(text))),
    }
  }
  const line = (text: string) => {
    beforeLine()
    stream.write(`mirrorshard: ${printable(text)}\n`)
  }
  const shows = (of: LogLevel) => LEVELS.indexOf(level) <= LEVELS.indexOf(of)
  return {
    prepare: () => {},
    info: (_event, sentence) => shows('info') && line(sentence),
    warn: (text) => shows('warn') && line(`warning: ${text}`),
  }
}

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** pino takes 30 ms to load. Lines wait for it, in order; once it is there they are written at once. */
class LazyLog {
  private readonly level: LogLevel
  private logger: Logger | null = null
  private isLoading = false
  private readonly waiting: ((logger: Logger) => void)[] = []

  constructor(level: LogLevel) {
    this.level = level
  }

  write(line: (logger: Logger) => void): void {
    if (this.logger !== null) line(this.logger)
    else {
      this.waiting.push(line)
      this.load()
    }
  }

  load(): void {
    if (this.isLoading) return
    this.isLoading = true
    // A failure is nobody's to handle: it ends the process, told on stderr.
    void import('../base/log.ts').then(({ openLog }) => {
      this.logger = openLog(this.level)
      for (const line of this.waiting.splice(0)) line(this.logger)
    })
  }
}
