/** The log of a running service: JSON lines on stderr, for machines; never per packet. People get stderr lines elsewhere. */
import { destination, type Logger, pino } from 'pino'

export type { Logger }
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export function openLog(level: LogLevel): Logger {
  return pino(
    { level, base: { name: 'mirrorshard' }, timestamp: pino.stdTimeFunctions.isoTime },
    destination({ fd: 2, sync: true }),
  )
}
