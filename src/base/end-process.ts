/**
 * The end of the process. Node's own waits for system calls that are under way in its thread pool, those of worker threads included: for a
 * name server that does not answer, half a minute. Where the C library can be called, it ends the process instead.
 */
let exitNow: ((code: number) => void) | null = null

/** @param exit ends the process and waits for nothing: _exit(2) */
export function setExit(exit: (code: number) => void): void {
  exitNow = exit
}

/** What was written to the standard streams is out: pipes, files and terminals are written at once. */
export function endProcess(code: number): never {
  exitNow?.(code)
  process.exit(code)
}
