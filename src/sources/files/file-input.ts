import { type FileHandle, open } from 'node:fs/promises'
import { describeSystemError, MirrorError } from '../../base/errors.ts'
import type { ByteInput } from './byte-input.ts'

/** A file, named pipe or device, read from its start to its end. */
export class FileInput implements ByteInput {
  readonly name: string
  readonly isUnpacked = false
  readonly warnings: readonly string[] = []
  readonly bytesTotal: number | null
  private readonly handle: FileHandle
  private count = 0

  private constructor(name: string, handle: FileHandle, bytesTotal: number | null) {
    this.name = name
    this.handle = handle
    this.bytesTotal = bytesTotal
  }

  /** @throws MirrorError ERR_CAPTURE_OPEN when it is missing, may not be read, or is a directory */
  static async open(path: string): Promise<FileInput> {
    let handle: FileHandle | undefined
    try {
      handle = await open(path, 'r')
      const status = await handle.stat()
      // Opening a directory succeeds; only reading it would fail.
      if (status.isDirectory()) throw Object.assign(new Error('directory'), { code: 'EISDIR' })
      // Files under /proc state size 0 and have content: no total rather than a wrong one.
      return new FileInput(path, handle, status.isFile() && status.size > 0 ? status.size : null)
    } catch (error) {
      await handle?.close()
      throw new MirrorError('ERR_CAPTURE_OPEN', `cannot open ${path}: ${describeSystemError(error)}`, { cause: error })
    }
  }

  /** Regular files only. */
  get isReadAhead(): boolean {
    return this.bytesTotal !== null
  }

  get bytesRead(): number {
    return this.count
  }

  async read(into: Buffer, at: number): Promise<number> {
    try {
      const { bytesRead } = await this.handle.read(into, at, into.length - at, null)
      this.count += bytesRead
      return bytesRead
    } catch (error) {
      throw new MirrorError(
        'ERR_CAPTURE_READ',
        `cannot read ${this.name} at offset ${this.count}: ${describeSystemError(error)}`,
        { cause: error },
      )
    }
  }

  close(): Promise<void> {
    return this.handle.close()
  }
}
