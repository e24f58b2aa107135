/** One packet of a capture, reused from record to record: what every offline source hands out. */
export class CaptureRecord {
  /** The captured bytes are [at, end) of `bytes`, borrowed until the next `next()` or `fill()` of the source. */
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  end = 0
  /** Length of the packet on the wire, at least `end - at`; more where the capture cut it. */
  wireLength = 0
  /** LINKTYPE_ value (the registry of link-layer header types of libpcap). */
  linkType = 0
  /**
   * Microseconds since the Unix epoch, with a fraction where the capture is finer (nanoseconds keep about 0.25 us); NaN before the first.
   * A field that begins with 0 is one of small integers to V8, until it is none: then all that reads records is compiled again.
   */
  timeUs = Number.NaN
}

/**
 * An offline source of packets. Read it so:
 *
 *     while (await source.fill()) while (source.next()) use(source.record)
 */
export interface RecordSource {
  readonly record: CaptureRecord
  /** Moves to the next record that is already in memory; false when `fill` must be called. Never throws for a packet. */
  next(): boolean
  /** Reads on until at least one record or the end; false at the end. @throws MirrorError ERR_CAPTURE_READ */
  fill(): Promise<boolean>
  /** What a person should know about the input: a cut last record with its offset, skipped blocks. Complete at the end. */
  readonly warnings: readonly string[]
  /** Progress: bytes of input read so far, and their total where it is known (files), else null. */
  readonly bytesRead: number
  readonly bytesTotal: number | null
  close(): Promise<void>
}
