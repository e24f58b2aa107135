/** The log as JSON lines, for machines; never per packet. */
import { type Logger, pino } from 'pino'
import type { LogLevel } from './log-level.ts'
import { warningLine } from './log-line.ts'
import { LossyLines } from './lossy-lines.ts'
import { plural } from './plural.ts'

export type { Logger }

export function openLog(level: LogLevel, stream: NodeJS.WritableStream): Logger {
  return pino(
    { level, base: { name: 'mirrorshard' }, timestamp: pino.stdTimeFunctions.isoTime },
    new LossyLines(stream, (lost) => warningLine('log-lost', `${plural(lost, 'line')} of the log were lost`, { lost })),
  )
}
