/** Where the bytes of a capture come from: a file, a stream, or the unpacked side of a gzip stream. */
export interface ByteInput {
  /** What messages call it: the path as given, or `standard input`. */
  readonly name: string
  /** True where offsets count unpacked bytes, so that a message can say so. */
  readonly isUnpacked: boolean
  /** Whether a read may be under way while nobody waits for it: not where that could wait for ever, as on a pipe. */
  readonly isReadAhead: boolean
  /**
   * Reads some bytes into `into` from `at` on, at most up to its end, which must leave room for at least one.
   * @returns how many came; 0 only at the end of the input
   * @throws MirrorError ERR_CAPTURE_READ
   */
  read(into: Buffer, at: number): Promise<number>
  /** What went wrong without being fatal, e.g. a gzip stream that is cut. Complete after the end. */
  readonly warnings: readonly string[]
  /** Bytes of the file or stream read so far (packed ones for gzip), and their total where known. */
  readonly bytesRead: number
  readonly bytesTotal: number | null
  close(): Promise<void>
}
