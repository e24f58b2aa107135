/** System calls of a program, counted by strace. */

/**
 * Calls with which threads wait for each other or for time: how many there are is the machine's scheduling, and the collector's
 * and compiler's helper threads'.
 */
const WAITING = new Set([
  'futex',
  'restart_syscall',
  'sched_yield',
  'nanosleep',
  'clock_nanosleep',
  'madvise',
  'mprotect',
  'mmap',
  'munmap',
])

/** What `strace -c` prints, as calls by name. */
export function readCounts(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  // % time, seconds, usecs/call, calls, errors or nothing, name
  for (const [, calls, name] of text.matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +([a-z_0-9]+)$/gm))
    if (name !== 'total') counts.set(name!, (counts.get(name!) ?? 0) + Number(calls))
  return counts
}

/** All but the waiting, and memory that the heap takes and gives: collections have a bound of their own. */
export function workCalls(counts: ReadonlyMap<string, number>): number {
  let sum = 0
  for (const [name, calls] of counts) if (!WAITING.has(name)) sum += calls
  return sum
}
