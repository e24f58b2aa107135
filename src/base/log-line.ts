/** A JSON line of the log where the logger is not loaded: the keys that it writes. */
import { printableJson } from './printable.ts'

const WARN = 40

export function warningLine(event: string, text: string, details: Readonly<Record<string, unknown>> = {}): string {
  const time = new Date().toISOString()
  return `${printableJson({ level: WARN, time, name: 'mirrorshard', ...details, event, text, msg: text })}\n`
}
