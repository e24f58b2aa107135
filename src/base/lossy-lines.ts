/** Lines on their way to whoever reads the log. */
import { escapedJson } from './printable.ts'

/** Bytes that may wait for whoever reads the log. Chosen: a thousand lines. */
const MOST_WAITING_BYTES = 256 * 1024

/**
 * Never waits and never fails: a reader of the log that stands still, or went away, must not hold up a thread that receives. Lines that
 * do not fit are lost, and counted in the first that fits again.
 */
export class LossyLines {
  private readonly stream: NodeJS.WritableStream
  private readonly lostLine: (lost: number) => string
  private lost = 0

  /**
   * @param stream one that queues what cannot be written at once, as process.stderr does for pipes and sockets
   * @param lostLine says that so many lines were lost: a whole line
   */
  constructor(stream: NodeJS.WritableStream, lostLine: (lost: number) => string) {
    this.stream = stream
    this.lostLine = lostLine
  }

  write(line: string): void {
    const { writableLength } = this.stream as { writableLength?: number }
    if ((writableLength ?? 0) > MOST_WAITING_BYTES) {
      this.lost++
      return
    }
    try {
      if (this.lost > 0) {
        const { lost } = this
        this.lost = 0
        this.stream.write(this.lostLine(lost))
      }
      this.stream.write(escapedJson(line))
    } catch {
      // Closed, or a full disk.
    }
  }
}
