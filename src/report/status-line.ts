/** One line on a terminal that renews itself. Nothing where nobody watches. */
import { columnsOf } from './fit-parts.ts'

const EVERY_MS = 1000

export class StatusLine {
  private readonly stream: NodeJS.WriteStream
  private readonly text: (width: number) => string
  private readonly timer: NodeJS.Timeout | null
  private isShown = false

  /** @param text of at most so many columns, asked for once a second */
  constructor(stream: NodeJS.WriteStream, text: (width: number) => string) {
    this.stream = stream
    this.text = text
    this.timer = stream.isTTY ? setInterval(() => this.show(), EVERY_MS) : null
    this.timer?.unref()
  }

  show(): void {
    if (this.timer === null) return
    this.stream.write(`\r\x1b[K${this.text(columnsOf(this.stream))}`)
    this.isShown = true
  }

  /** Takes the line away, for text that stays. */
  clear(): void {
    if (this.isShown) this.stream.write('\r\x1b[K')
    this.isShown = false
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.clear()
  }
}
