/** The log as JSON lines, for machines; never per packet. */
import { type Logger, pino } from 'pino'
import type { LogLevel } from './log-level.ts'
import { LossyLines } from './lossy-lines.ts'

export type { Logger }

export function openLog(level: LogLevel, stream: NodeJS.WritableStream): Logger {
  return pino(
    { level, base: { name: 'mirrorshard' }, timestamp: pino.stdTimeFunctions.isoTime },
    new LossyLines(stream, (lost) => {
      const fields = { level: 40, time: new Date().toISOString(), name: 'mirrorshard', lost }
      const text = 'lines of the log were lost: nobody read them in time'
      return JSON.stringify({ ...fields, event: 'log-lost', text, msg: 'lines of the log were lost' })
    }),
  )
}
