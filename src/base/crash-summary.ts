/**
 * The summary of a process that dies of a fault of its own, written before it says why: a running service writes down what it has counted.
 * One for the process; the entry point has it written.
 */
let write: ((error: unknown) => void) | null = null

/** @param writer must not wait for anything; null: there is nothing to write */
export function setCrashSummary(writer: ((error: unknown) => void) | null): void {
  write = writer
}

/** Once: what fails on the way does not come back here. */
export function writeCrashSummary(error: unknown): void {
  const writer = write
  write = null
  try {
    writer?.(error)
  } catch {
    // The fault that ends the process is the one to tell.
  }
}
