/** The last word of a process that fails: clear lines, no stack trace. */
import { inspect } from 'node:util'
import { describeSystemError, EXIT, MirrorError } from '../base/errors.ts'
import { printable, printableLines } from '../base/printable.ts'

/**
 * Prints what ended the process; with MIRRORSHARD_DEBUG=1 the stack as well.
 * @returns the exit code
 */
export function reportFatal(error: unknown, env: NodeJS.ProcessEnv, stderr: { write(text: string): unknown }): number {
  if (error instanceof MirrorError) {
    // Faults of options come one per line; any other error is one line, whatever the names in it hold.
    const isList = error.code === 'ERR_USAGE' || error.code === 'ERR_CONFIG'
    stderr.write(`${prefixed(isList ? printableLines(error.message) : printable(error.message))}\n`)
  } else {
    const { code, path } = (error ?? {}) as NodeJS.ErrnoException
    const isSystem = typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)
    const where = isSystem && typeof path === 'string' ? `${path}: ` : ''
    // Multi-line messages (of loaders, of compilers) begin with what matters.
    const what = describeSystemError(error).split('\n', 1)[0]
    const hint = isSystem || env.MIRRORSHARD_DEBUG === '1' ? '' : ' (internal error; MIRRORSHARD_DEBUG=1 shows where)'
    stderr.write(`${prefixed(printable(`${where}${what}${hint}`))}\n`)
  }
  if (env.MIRRORSHARD_DEBUG === '1') stderr.write(`${inspect(error)}\n`)
  return error instanceof MirrorError ? error.exitCode : EXIT.failure
}

/** One fault per line, each with the program's name, as tools print them. */
export function prefixed(message: string): string {
  return message.replace(/^/gm, 'mirrorshard: ')
}
