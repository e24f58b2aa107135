/** The log of a running service: JSON lines on stderr, for machines; never per packet. People get stderr lines elsewhere. */
import { type Logger, pino } from 'pino'
import { escapedJson } from './printable.ts'

export type { Logger }
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export function openLog(level: LogLevel, stream: NodeJS.WritableStream): Logger {
  return pino(
    { level, base: { name: 'mirrorshard' }, timestamp: pino.stdTimeFunctions.isoTime },
    new LossyLines(stream),
  )
}

/** Bytes that may wait for whoever reads the log. Chosen: a thousand lines. */
const MOST_WAITING_BYTES = 256 * 1024

/**
 * Never waits and never fails: a reader of the log that stands still, or went away, must not hold up a thread that receives. Lines that
 * do not fit are lost, and counted in the first that fits again.
 */
export class LossyLines {
  private readonly stream: NodeJS.WritableStream
  private lost = 0

  /** @param stream one that queues what cannot be written at once, as process.stderr does for pipes and sockets */
  constructor(stream: NodeJS.WritableStream) {
    this.stream = stream
  }

  write(line: string): void {
    const { writableLength } = this.stream as { writableLength?: number }
    if ((writableLength ?? 0) > MOST_WAITING_BYTES) {
      this.lost++
      return
    }
    try {
      if (this.lost > 0) {
        const { lost } = this
        this.lost = 0
        this.stream.write(
          `${JSON.stringify({ level: 40, name: 'mirrorshard', msg: 'lines of the log were lost', lost })}\n`,
        )
      }
      this.stream.write(escapedJson(line))
    } catch {
      // Closed, or a full disk.
    }
  }
}
