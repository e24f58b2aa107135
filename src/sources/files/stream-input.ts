import type { Readable } from 'node:stream'
import { describeSystemError, MirrorError } from '../../base/errors.ts'
import type { ByteInput } from './byte-input.ts'

const NOTHING = Buffer.alloc(0)

/** A byte stream such as standard input. What has arrived is handed on at once: a live pipe is not held up. */
export class StreamInput implements ByteInput {
  readonly name: string
  readonly isUnpacked = false
  readonly isReadAhead = false
  readonly warnings: readonly string[] = []
  readonly bytesTotal = null
  private readonly stream: Readable
  private readonly chunks: AsyncIterator<Buffer>
  private chunk: Buffer = NOTHING
  private count = 0

  constructor(name: string, stream: Readable) {
    this.name = name
    this.stream = stream
    this.chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  get bytesRead(): number {
    return this.count
  }

  async read(into: Buffer, at: number): Promise<number> {
    while (this.chunk.length === 0) {
      const result = await this.nextChunk()
      if (result.done === true) return 0
      this.chunk = result.value
    }
    const length = this.chunk.copy(into, at)
    this.chunk = this.chunk.subarray(length)
    this.count += length
    return length
  }

  private async nextChunk(): Promise<IteratorResult<Buffer>> {
    try {
      return await this.chunks.next()
    } catch (error) {
      throw new MirrorError(
        'ERR_CAPTURE_READ',
        `cannot read ${this.name} at offset ${this.count}: ${describeSystemError(error)}`,
        { cause: error },
      )
    }
  }

  async close(): Promise<void> {
    this.stream.destroy()
  }
}
