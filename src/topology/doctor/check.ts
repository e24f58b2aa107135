/** One thing that doctor looked at, and how it stands. */
export type State = 'ok' | 'warning' | 'wrong'

export interface Check {
  /** What was looked at, two or three words. */
  readonly name: string
  readonly state: State
  /** How it stands. */
  readonly found: string
  /** What to do about it; null where nothing has to be done. */
  readonly do: string | null
}

export function ok(name: string, found: string): Check {
  return { name, state: 'ok', found, do: null }
}

export function warning(name: string, found: string, action: string): Check {
  return { name, state: 'warning', found, do: action }
}

export function wrong(name: string, found: string, action: string): Check {
  return { name, state: 'wrong', found, do: action }
}

/** The name of a check whose action throws, with the error's words; a check never ends doctor. */
export async function guarded(name: string, check: () => Promise<Check[]> | Check[]): Promise<Check[]> {
  try {
    return await check()
  } catch (error) {
    return [wrong(name, error instanceof Error ? error.message : String(error), 'mend what it says')]
  }
}
