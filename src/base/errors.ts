/**
 * Errors people see. The code is the contract (scripts and docs name it), the message helps whoever is on call: it names
 * the option, file or offset, what was expected and what came. Packets never make one: see drop.ts.
 */

/** Process exit codes of the command line (docs: the command-line contract). */
export const EXIT = { ok: 0, failure: 1, usage: 2, configuration: 78 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export type ErrorCode =
  | 'ERR_USAGE'
  | 'ERR_CONFIG'
  | 'ERR_CAPTURE_OPEN'
  | 'ERR_CAPTURE_FORMAT'
  | 'ERR_CAPTURE_READ'
  | 'ERR_LISTEN'
  | 'ERR_RECEIVER'
  | 'ERR_INTERFACE'
  | 'ERR_ORIGIN'
  | 'ERR_OUTPUT'
  | 'ERR_RING_CAPACITY'
  | 'ERR_SHARD'
  | 'ERR_INTERNAL'

/** An error with a stable code. `exitCode` is what the process ends with when nobody handles it. */
export class MirrorError extends Error {
  override readonly name = 'MirrorError'
  readonly code: ErrorCode
  readonly exitCode: ExitCode
  constructor(code: ErrorCode, message: string, options: { exitCode?: ExitCode; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.exitCode =
      options.exitCode ??
      (code === 'ERR_USAGE' ? EXIT.usage : code === 'ERR_CONFIG' ? EXIT.configuration : EXIT.failure)
  }
}

/** What crosses a thread: class, name and code of an Error do not survive `postMessage`. */
export interface PlainError {
  readonly code: string
  readonly message: string
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof Error) {
    const code = (error as { code?: unknown }).code
    return { code: typeof code === 'string' ? code : 'ERR_INTERNAL', message: error.message }
  }
  return { code: 'ERR_INTERNAL', message: String(error) }
}

/** System error codes as a person says them; the code itself is kept for searching. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'it is a directory',
  EADDRINUSE: 'the address is already in use',
  EADDRNOTAVAIL: 'the address does not belong to this machine',
  ECONNREFUSED: 'connection refused',
  ENOSPC: 'no space left on the device',
  ENODEV: 'no such device',
}

/** One line for a system error, e.g. `no such file or directory (ENOENT)`; other errors keep their message. */
export function describeSystemError(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code === 'string' && code in SYSTEM_ERRORS) return `${SYSTEM_ERRORS[code]} (${code})`
  return error instanceof Error ? error.message : String(error)
}
