/** Faults that a thread can be told to break with: tests of supervision, and nothing else. */
export const FAULT_KINDS = ['throw', 'exit', 'oom', 'spin'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** Not a break: the shard takes so many microseconds more for every packet, until it is told 0. For tests of overload. */
export const SLOW_FAULT = 'slow'
/** A turn of so slow a shard still ends long before it is taken to stand still. */
export const MOST_SLOW_US = 10_000

export function isFaultKind(kind: string): kind is FaultKind {
  return (FAULT_KINDS as readonly string[]).includes(kind)
}

/** The main thread's own: uncaught, rejected and not handled, ended, out of heap. */
const MAIN_FAULT_KINDS = ['throw', 'reject', 'exit', 'oom'] as const

/** In a turn of its own, as faults come. @returns false for a kind there is not */
export function breakMainWith(kind: string): boolean {
  const known = MAIN_FAULT_KINDS.find((name) => name === kind)
  if (known === undefined) return false
  // Time for the response to whoever asked for the fault.
  setTimeout(() => {
    if (known === 'reject') void Promise.reject(new Error('fault injected: reject'))
    else breakWith(known)
  }, 20)
  return true
}

export function breakWith(kind: FaultKind): void {
  switch (kind) {
    case 'throw':
      throw new Error('fault injected: throw')
    case 'exit':
      process.exit(1)
      break
    case 'oom': {
      const hoard: unknown[] = []
      for (;;) hoard.push(new Array(1 << 16).fill(hoard.length))
    }
    case 'spin':
      for (;;) Math.random()
  }
}
