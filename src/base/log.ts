/** The log of a running service: JSON lines on stderr, for machines; never per packet. People get stderr lines elsewhere. */
import { destination, type Logger, pino } from 'pino'

export type { Logger }
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/** Lines that wait for a full disk to have room again, bytes; further ones are lost. Chosen: some hundred lines. */
const MAX_WAITING_BYTES = 65_536

export function openLog(level: LogLevel): Logger {
  const stream = destination({ fd: 2, sync: true, maxLength: MAX_WAITING_BYTES })
  // A full disk under the log must not stop the work: there is nobody left to tell.
  stream.on('error', () => {})
  return pino({ level, base: { name: 'mirrorshard' }, timestamp: pino.stdTimeFunctions.isoTime }, stream)
}
