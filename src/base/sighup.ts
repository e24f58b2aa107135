/**
 * SIGHUP from the first moment of `run` on. It ends a process that does not listen, and supervisors take that for a clean end
 * and start nothing anew; so the entry point listens before the program is loaded, and who acts on it comes later.
 */
let waiting = false
let act: (() => void) | null = null

/** From here on SIGHUP ends nothing. @param before how many came already */
export function holdSighup(before = 0): void {
  waiting = before > 0
  process.on('SIGHUP', () => {
    if (act === null) waiting = true
    else act()
  })
}

/** @param reload is called for each from now on, and once for all that came before */
export function onSighup(reload: () => void): void {
  act = reload
  if (waiting) reload()
  waiting = false
}
