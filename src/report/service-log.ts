/**
 * What a run says of itself while it works: JSON lines for machines, or one sentence a line for people. Events and their levels stand in
 * log-events.ts; how many lines there are at most, in event-limiter.ts.
 *
 * A JSON line has `level`, `time`, `name`, the event's fields, `event` (its name), `text` (its sentence) and `msg`: the name again where the
 * level is info, and the sentence where it is a warning or an error.
 */
import type { Logger } from '../base/log.ts'
import { isLogged, type LogFormat, type LogLevel } from '../base/log-level.ts'
import { LossyLines } from '../base/lossy-lines.ts'
import { plural } from '../base/plural.ts'
import { printable } from '../base/printable.ts'
import { EventLimiter, WINDOW_MS } from './event-limiter.ts'
import { type EventDetails, type EventName, LOG_EVENTS, type TellEvent } from './log-events.ts'

export interface ServiceLog {
  readonly format: LogFormat
  /** Loads what the first line needs: at a time of the caller's choice, not the first line's. */
  prepare(): void
  readonly event: TellEvent
  /** For what is in no table. @param event one word for machines @param sentence the same for a person */
  info(event: string, sentence: string, details: EventDetails): void
  /** For what is in no table. */
  warn(text: string, details?: EventDetails): void
  setLevel(level: LogLevel): void
  /** Tells what is held back: the end is near. */
  flush(): void
}

export interface ServiceLogOptions {
  readonly level: LogLevel
  /** Null: text where a person watches a terminal, else JSON. */
  readonly format?: LogFormat | null
  /** Called before a line of text is written: the terminal may show something that must go first. */
  readonly beforeLine?: () => void
  /** Milliseconds of a clock that does not go back. */
  readonly nowMs?: () => number
}

export function openServiceLog(stream: NodeJS.WriteStream, options: ServiceLogOptions): ServiceLog {
  const format = options.format ?? (stream.isTTY === true ? 'text' : 'json')
  const lines = format === 'text' ? new TextLines(stream, options) : new JsonLines(stream, options.level)
  return new LimitedLog(format, options.level, lines, options.nowMs ?? (() => performance.now()))
}

type Level = 'info' | 'warn' | 'error'

interface Line {
  readonly level: Level
  /** Null: in no table. */
  readonly event: string | null
  readonly text: string
  readonly details: EventDetails
  /** Written whatever the level is. */
  readonly isAlways: boolean
}

interface Lines {
  prepare(): void
  write(line: Line): void
  setLevel(level: LogLevel): void
}

/** How often it is looked whether held lines are due. */
const LOOK_MS = 1000

class LimitedLog implements ServiceLog {
  readonly format: LogFormat
  private readonly lines: Lines
  private readonly nowMs: () => number
  private readonly limiter = new EventLimiter<Line>()
  private timer: NodeJS.Timeout | null = null
  private level: LogLevel

  constructor(format: LogFormat, level: LogLevel, lines: Lines, nowMs: () => number) {
    this.format = format
    this.level = level
    this.lines = lines
    this.nowMs = nowMs
  }

  prepare(): void {
    this.lines.prepare()
  }

  readonly event = (name: EventName, text: string, details: EventDetails = {}, key: string = name): void => {
    const { level, isStep = false, isEnd = false, perMinute = 1 } = LOG_EVENTS[name]
    const line: Line = { level, event: name, text, details, isAlways: name === 'summary' }
    // What is not written takes no other line's place.
    if (!line.isAlways && !isLogged(level, this.level)) return
    if (isStep) this.lines.write(line)
    else this.offer(key, perMinute, line, isEnd)
  }

  info(event: string, text: string, details: EventDetails): void {
    this.lines.write({ level: 'info', event, text, details, isAlways: false })
  }

  warn(text: string, details: EventDetails = {}): void {
    this.lines.write({ level: 'warn', event: null, text, details, isAlways: false })
  }

  setLevel(level: LogLevel): void {
    this.level = level
    this.lines.setLevel(level)
  }

  flush(): void {
    this.tellDue(true)
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  private offer(key: string, perMinute: number, line: Line, isEnd: boolean): void {
    if (this.limiter.offer(key, perMinute, line, isEnd, this.nowMs())) this.lines.write(line)
    else this.timer ??= setInterval(() => this.tellDue(false), LOOK_MS).unref()
  }

  private tellDue(isLast: boolean): void {
    const nowMs = this.nowMs()
    for (const { line, timesMore, heldMs } of this.limiter.due(nowMs, isLast)) {
      const more = timesMore > 0 ? ` (${plural(timesMore, 'time')} more in the last ${WINDOW_MS / 1000} s)` : ''
      const details = { ...line.details, timesMore, heldSeconds: Math.round(heldMs / 1000) }
      this.lines.write({ ...line, text: `${line.text}${more}`, details })
    }
    const suppressed = this.limiter.takeOverAll(nowMs)
    if (suppressed > 0)
      this.event('log-held-back', `${plural(suppressed, 'line')} of the log held back in a minute`, { suppressed })
    if (this.limiter.hasPending || this.timer === null) return
    clearInterval(this.timer)
    this.timer = null
  }
}

class TextLines implements Lines {
  private readonly lines: LossyLines
  private readonly beforeLine: () => void
  private level: LogLevel

  constructor(stream: NodeJS.WriteStream, { level, beforeLine = () => {} }: ServiceLogOptions) {
    this.lines = new LossyLines(
      stream,
      (lost) => `mirrorshard: warning: ${plural(lost, 'line')} of the log were lost\n`,
    )
    this.level = level
    this.beforeLine = beforeLine
  }

  prepare(): void {}

  write({ level, text, isAlways }: Line): void {
    if (!isAlways && !isLogged(level, this.level)) return
    this.beforeLine()
    this.lines.write(`mirrorshard: ${PREFIX[level]}${printable(text)}\n`)
  }

  setLevel(level: LogLevel): void {
    this.level = level
  }
}

const PREFIX = { info: '', warn: 'warning: ', error: 'error: ' } as const

/** pino takes 30 ms to load. Lines wait for it, in order; once it is there they are written at once. */
class JsonLines implements Lines {
  private readonly stream: NodeJS.WritableStream
  private level: LogLevel
  private logger: Logger | null = null
  private isLoading = false
  private readonly waiting: Line[] = []

  constructor(stream: NodeJS.WritableStream, level: LogLevel) {
    this.stream = stream
    this.level = level
  }

  prepare(): void {
    if (this.isLoading) return
    this.isLoading = true
    // A failure is nobody's to handle: it ends the process, told on stderr.
    void import('../base/log.ts').then(({ openLog }) => {
      this.logger = openLog(this.level, this.stream)
      for (const line of this.waiting.splice(0)) this.write(line)
    })
  }

  write(line: Line): void {
    const { logger } = this
    if (logger === null) {
      this.waiting.push(line)
      this.prepare()
      return
    }
    const { level, event, details } = line
    const text = printable(line.text)
    // Keys of details come first: none of them replaces what every line has.
    const fields = event === null ? details : { ...details, event, text }
    if (line.isAlways) logger.level = 'info'
    logger[level](fields, level === 'info' && event !== null ? event : text)
    if (line.isAlways) logger.level = this.level
  }

  setLevel(level: LogLevel): void {
    this.level = level
    if (this.logger !== null) this.logger.level = level
  }
}
