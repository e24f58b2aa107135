/** Data for stdout, in order and no faster than it is read: a slow pipe slows the reader of files instead of filling memory. */
import { writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { printable, printableLines } from '../base/printable.ts'

export class DataStream {
  private readonly stream: Writable

  constructor(stream: Writable) {
    this.stream = stream
  }

  /** Resolves when more may be written. */
  write(data: string | Uint8Array): Promise<void> {
    if (this.stream.write(data)) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        this.stream.off('drain', done)
        this.stream.off('close', done)
        resolve()
      }
      this.stream.once('drain', done)
      // A reader that went away (`| head`) ends the wait too; the error is handled where stdout is.
      this.stream.once('close', done)
    })
  }
}

/** Lines for a person, on stderr. */
export function tell(text: string): void {
  try {
    writeSync(2, `${printableLines(text)}\n`)
  } catch {
    // Nobody listens: a closed or full stderr must not stop the work.
  }
}

export function warn(text: string): void {
  tell(`mirrorshard: warning: ${printable(text)}`)
}
