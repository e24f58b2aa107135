/**
 * Feeds capture files to the pipeline: as fast as the shards take them, or in the capture's own time. Nothing is shed: the reader
 * waits. Every pass of a loop begins with an empty flow table and continues in time where the last one ended.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { MirrorError } from '../base/errors.ts'
import type { RecordSource } from '../sources/capture-record.ts'
import { PASS_GAP_US, type PaceClock, Pacer, type SkippedPause } from './pacer.ts'
import type { PacketPipeline } from './packet-pipeline.ts'
import type { Pipeline } from './pipeline.ts'

export interface PumpOptions {
  /** 1 is the capture's own pace; Infinity: as fast as possible. */
  readonly speed: number
  /** Longest wait for a packet, on the wall; null: no bound. */
  readonly maxPauseMs: number | null
  readonly loops: number
  /** Opens the input anew for each pass. */
  readonly open: () => Promise<RecordSource>
  /** Now and then, with the share of the input read so far where it is known. */
  readonly onProgress: (pass: number, bytesRead: number, bytesTotal: number | null) => void
  readonly onFirstPacket: () => void
  /** The next packet is not due for this long: whoever watches should know why nothing happens. */
  readonly onLongWait: (waitMs: number) => void
  /** A pause was longer than that: part of it is not waited for. Its time is the file's own. */
  readonly onSkippedPause: (pause: SkippedPause) => void
  /** A link type, each time it differs from the record's before. */
  readonly onLinkType: (linkType: number) => void
  /** A file could not be read on; the others are. */
  readonly onReadError: (error: MirrorError) => void
  /** Once per source and pass, when it is read to its end. */
  readonly onWarnings: (warnings: readonly string[]) => void
  /** Set to stop early: what was read is finished. */
  readonly stop: { requested: boolean }
  /** Default: the system's. */
  readonly clock?: PaceClock
}

const SYSTEM_CLOCK: PaceClock = { nowMs: () => performance.now(), sleep: (ms) => sleep(ms) }

/** Packets between publications: small enough for the shards to begin early, large enough to cost nothing. */
const BATCH_PACKETS = 512
/** Room asked for beyond a record: the ring's own header, and a datagram put together from fragments. */
const ROOM_BYTES = 1 << 16
const MS_PER_YIELD = 20
const LONG_WAIT_MS = 3000

export async function pumpFiles(
  packetPipeline: PacketPipeline,
  pipeline: Pipeline,
  options: PumpOptions,
): Promise<void> {
  let shiftUs = 0
  const pacer = new Pacer(options.speed, options.maxPauseMs, options.clock ?? SYSTEM_CLOCK, (pause) =>
    options.onSkippedPause({ ...pause, timeUs: pause.timeUs - shiftUs }),
  )
  for (let pass = 1; pass <= options.loops && !options.stop.requested; pass++) {
    const source = await options.open()
    const feeder = new Feeder(source, packetPipeline, pipeline, pacer, options)
    let lastYieldMs = performance.now()
    try {
      while (!options.stop.requested && (await fill(source, options.onReadError))) {
        if (feeder.isFirst) {
          // What is in memory may be looked at before it is handed on: its time is what the pass begins with.
          source.next()
          if (pass === 1) options.onFirstPacket()
          else shiftUs = packetPipeline.latestUs + PASS_GAP_US - source.record.timeUs
          pacer.begin(source.record.timeUs + shiftUs)
          feeder.begin(shiftUs)
        }
        for (let state: number = Feed.batch; state !== Feed.empty && !options.stop.requested; ) {
          state = feeder.feed(BATCH_PACKETS)
          packetPipeline.publish()
          if (state === Feed.full) await sleep(1)
          else if (state === Feed.early) await pacer.wait(options.stop, LONG_WAIT_MS, options.onLongWait)
          const now = performance.now()
          if (now - lastYieldMs < MS_PER_YIELD) continue
          // Signals, worker messages and the admin page are served in between.
          options.onProgress(pass, source.bytesRead, source.bytesTotal)
          await nextTurn()
          lastYieldMs = performance.now()
        }
      }
      options.onProgress(pass, source.bytesRead, source.bytesTotal)
      if (pass === 1) options.onWarnings(source.warnings)
    } finally {
      await source.close()
    }
    packetPipeline.flush()
    await pipeline.flush(packetPipeline.latestUs)
  }
}

/** Why `feed` returned. */
const Feed = {
  /** The batch is done; there may be more in memory. */
  batch: 0,
  /** Nothing more in memory. */
  empty: 1,
  /** No room for the record in hand: try again. */
  full: 2,
  /** The record in hand is not due yet: see Pacer.wait. */
  early: 3,
} as const

/** Hands the records of one pass to the pipeline: the inner loop, without a promise. */
class Feeder {
  /** Nothing was handed on yet. */
  isFirst = true
  private readonly source: RecordSource
  private readonly packetPipeline: PacketPipeline
  private readonly pipeline: Pipeline
  private readonly pacer: Pacer
  private readonly options: PumpOptions
  private shiftUs = Number.NaN
  private linkType = -1
  /** The source stands at a record that was not handed on yet. */
  private isPending = false

  constructor(
    source: RecordSource,
    packetPipeline: PacketPipeline,
    pipeline: Pipeline,
    pacer: Pacer,
    options: PumpOptions,
  ) {
    this.source = source
    this.packetPipeline = packetPipeline
    this.pipeline = pipeline
    this.pacer = pacer
    this.options = options
  }

  /** The source stands at its first record. @param shiftUs added to every time of the pass */
  begin(shiftUs: number): void {
    this.isFirst = false
    this.isPending = true
    this.shiftUs = shiftUs
  }

  /** Hands on at most `most` records that are in memory. Returns a value of Feed. */
  feed(most: number): number {
    const { source, packetPipeline, pipeline, pacer, shiftUs } = this
    const { record } = source
    for (let i = 0; i < most; i++) {
      if (!this.isPending) {
        if (!source.next()) return Feed.empty
        this.isPending = true
        if (pacer.isPaced) pacer.next(record.timeUs + shiftUs)
      }
      if (record.linkType !== this.linkType) this.noteLinkType(record.linkType)
      if (pacer.isPaced && !pacer.isDue()) return Feed.early
      if (!pipeline.hasRoomFor(record.end - record.at + ROOM_BYTES)) return Feed.full
      this.isPending = false
      packetPipeline.frame(record, shiftUs)
    }
    return Feed.batch
  }

  private noteLinkType(linkType: number): void {
    this.linkType = linkType
    this.options.onLinkType(linkType)
  }
}

/** A merged source leaves out a file that failed, and continues with the next call. */
async function fill(source: RecordSource, onReadError: (error: MirrorError) => void): Promise<boolean> {
  for (;;) {
    try {
      return await source.fill()
    } catch (error) {
      if (!(error instanceof MirrorError)) throw error
      onReadError(error)
    }
  }
}
