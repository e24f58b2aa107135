/** What a service says of itself while it runs: JSON lines for machines, plain lines where a person watches the terminal. */
import type { Logger, LogLevel } from '../base/log.ts'
import { printable } from '../base/printable.ts'

export interface ServiceLog {
  /** Loads what the first line needs: at a time of the caller's choice, not the first line's. */
  prepare(): void
  /** @param event one word for machines @param sentence the same for a person */
  info(event: string, sentence: string, details: Readonly<Record<string, unknown>>): unknown
  warn(text: string, details?: Readonly<Record<string, unknown>>): unknown
  setLevel(level: LogLevel): void
}

/** @param beforeLine called before a plain line is written: the terminal may show something that must go first */
export function openServiceLog(stream: NodeJS.WriteStream, level: LogLevel, beforeLine: () => void): ServiceLog {
  if (stream.isTTY !== true) {
    const log = new LazyLog(stream, level)
    return {
      prepare: () => log.load(),
      info: (event, _sentence, details) => log.write((logger) => logger.info(details, event)),
      warn: (text, details = {}) => log.write((logger) => logger.warn(details, printable(text))),
      setLevel: (next) => log.setLevel(next),
    }
  }
  const line = (text: string) => {
    beforeLine()
    stream.write(`mirrorshard: ${printable(text)}\n`)
  }
  let shown = level
  const shows = (of: LogLevel) => LEVELS.indexOf(shown) <= LEVELS.indexOf(of)
  return {
    prepare: () => {},
    info: (_event, sentence) => shows('info') && line(sentence),
    warn: (text) => shows('warn') && line(`warning: ${text}`),
    setLevel: (next) => {
      shown = next
    },
  }
}

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** pino takes 30 ms to load. Lines wait for it, in order; once it is there they are written at once. */
class LazyLog {
  private readonly stream: NodeJS.WritableStream
  private level: LogLevel
  private logger: Logger | null = null
  private isLoading = false
  private readonly waiting: ((logger: Logger) => void)[] = []

  constructor(stream: NodeJS.WritableStream, level: LogLevel) {
    this.stream = stream
    this.level = level
  }

  write(line: (logger: Logger) => void): void {
    if (this.logger !== null) line(this.logger)
    else {
      this.waiting.push(line)
      this.load()
    }
  }

  setLevel(level: LogLevel): void {
    this.level = level
    if (this.logger !== null) this.logger.level = level
  }

  load(): void {
    if (this.isLoading) return
    this.isLoading = true
    // A failure is nobody's to handle: it ends the process, told on stderr.
    void import('../base/log.ts').then(({ openLog }) => {
      this.logger = openLog(this.level, this.stream)
      for (const line of this.waiting.splice(0)) line(this.logger)
    })
  }
}
