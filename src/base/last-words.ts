/**
 * What is still done when the process dies of a fault of its own, before it says why: a running service writes down what it has counted.
 * One for the process; the entry point says them.
 */
let words: ((error: unknown) => void) | null = null

/** @param say must not wait for anything; null: nothing is left to be done */
export function setLastWords(say: ((error: unknown) => void) | null): void {
  words = say
}

/** Once: what fails on the way does not come back here. */
export function sayLastWords(error: unknown): void {
  const say = words
  words = null
  try {
    say?.(error)
  } catch {
    // The fault that ends the process is the one to tell.
  }
}
