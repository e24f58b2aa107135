/** Programs that a bench started and that run until they are told, and its folder: neither outlives it. */
import type { ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'

const running = new Set<ChildProcess>()

/** @returns the same child */
export function owned<C extends ChildProcess>(child: C): C {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Ctrl-C reaches the whole terminal; a signal to the bench alone has to be passed on. */
export function endWithThisProcess(directory: string): void {
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true })
    for (const child of running) child.kill('SIGTERM')
  })
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
}
