import { CaptureRecord, type RecordSource } from '../capture-record.ts'
import type { InputWindow } from './input-window.ts'

/** The longest captured packet that is believed, bytes; a longer one means that the reader lost its place. Chosen. */
export const MAX_PACKET_BYTES = 64 * 1024 * 1024

/** A length on the wire stays below this, so that it is a small integer everywhere. No packet is that long. */
const MAX_WIRE_LENGTH = 0x7fffffff

/**
 * What the readers of all formats share: handing out records that are in memory, reading on, and saying where it ended.
 * A format only steps through: see `step`.
 */
export abstract class CaptureReader implements RecordSource {
  readonly record = new CaptureRecord()
  protected readonly window: InputWindow
  private readonly notes: string[] = []
  /** `fill` has walked to a record that `next` has not handed out yet. */
  private isPending = false
  /** Nothing more will be read: the end, damage, or a failed read. */
  private isEnded = false
  /** Unread bytes that the record at the window's start has to have before it can be walked. */
  private needed = 0

  constructor(window: InputWindow) {
    this.window = window
    window.allowReadAhead()
    this.record.bytes = window.bytes
  }

  get warnings(): readonly string[] {
    return [...this.window.input.warnings, ...this.notes]
  }

  get bytesRead(): number {
    return this.window.input.bytesRead
  }

  get bytesTotal(): number | null {
    return this.window.input.bytesTotal
  }

  next(): boolean {
    if (this.isPending) {
      this.isPending = false
      return true
    }
    return this.step()
  }

  async fill(): Promise<boolean> {
    while (!this.isPending) {
      if (this.step()) this.isPending = true
      else if (this.isEnded || !(await this.readOn())) return false
    }
    return true
  }

  async close(): Promise<void> {
    this.isEnded = true
    this.isPending = false
    this.release()
    await this.window.input.close()
  }

  /**
   * Walks over the next packet in the window, into `record`. Where the window holds no whole one, it returns `wait`; where
   * what it holds cannot be, `malformed`. Both are false, and may be called again.
   */
  protected abstract step(): boolean

  /**
   * Sets the lengths of `record`: the captured bytes are the `captured` ones from `at` of the window on.
   * @param wireLength as `readBits32` gives it: negative from 2^31 on
   */
  protected setExtent(at: number, captured: number, wireLength: number): void {
    const record = this.record
    record.at = at
    record.end = at + captured
    // Some writers state less than they captured, or nonsense.
    record.wireLength = wireLength < 0 ? MAX_WIRE_LENGTH : Math.max(captured, wireLength)
  }

  protected wait(needed: number): false {
    this.needed = needed
    return false
  }

  protected malformed(why: string): false {
    this.note(`malformed at ${this.place()}: ${why}; what follows is not read`)
    this.isEnded = true
    this.release()
    return false
  }

  protected note(text: string): void {
    this.notes.push(`${this.window.input.name}: ${text}`)
  }

  /** Called once, at the end of the input: what there is to say about all of it. */
  protected summarise(): void {}

  private async readOn(): Promise<boolean> {
    let hasMore: boolean
    try {
      hasMore = await this.window.more()
    } catch (error) {
      this.isEnded = true
      this.release()
      throw error
    }
    // Closed in the meantime: what was read went into memory that is let go.
    if (this.isEnded) {
      this.release()
      return false
    }
    if (hasMore) {
      this.record.bytes = this.window.bytes
      return true
    }
    this.isEnded = true
    const rest = this.window.end - this.window.at
    if (rest > 0) this.note(`cut at ${this.place()}: ${this.needed} bytes expected, ${rest} came`)
    this.summarise()
    this.release()
    return false
  }

  private place(): string {
    return `offset ${this.window.offset}${this.window.input.isUnpacked ? ' of the unpacked data' : ''}`
  }

  /** An empty window makes every later `step` wait. */
  private release(): void {
    this.window.release()
    this.record.bytes = this.window.bytes
    this.setExtent(0, 0, 0)
  }
}
