/**
 * Feeds capture files to the path: as fast as the shards take them, or in the capture's own time. Nothing is shed: the reader
 * waits. Every pass of a loop begins with an empty flow table and goes on in time where the last one ended.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { MirrorError } from '../base/errors.ts'
import type { RecordSource } from '../sources/capture-record.ts'
import type { Ingress } from './ingress.ts'
import type { Path } from './path.ts'

export interface PumpOptions {
  /** 1 is the capture's own pace; Infinity: as fast as possible. */
  readonly speed: number
  readonly loops: number
  /** Opens the input anew for each pass. */
  readonly open: () => Promise<RecordSource>
  /** Now and then, with the share of the input read so far where it is known. */
  readonly onProgress: (pass: number, bytesRead: number, bytesTotal: number | null) => void
  readonly onFirstPacket: () => void
  /** The next packet is not due for this long: whoever watches should know why nothing happens. */
  readonly onLongWait: (waitMs: number) => void
  /** A link type, each time it differs from the record's before. */
  readonly onLinkType: (linkType: number) => void
  /** A file could not be read on; the others are. */
  readonly onReadError: (error: MirrorError) => void
  /** Once per source and pass, when it is read to its end. */
  readonly onWarnings: (warnings: readonly string[]) => void
  /** Set to stop early: what was read is finished. */
  readonly stop: { requested: boolean }
}

/** Packets between publications: small enough for the shards to begin early, large enough to cost nothing. */
const BATCH_PACKETS = 512
/** Room asked for beyond a record: the ring's own header, and a datagram put together from fragments. */
const ROOM_BYTES = 1 << 16
/** How far ahead of its time a packet may be sent: the clock's own grain. */
const GRAIN_US = 500
const MS_PER_YIELD = 20
const LONG_WAIT_MS = 3000

export async function pumpFiles(ingress: Ingress, path: Path, options: PumpOptions): Promise<void> {
  let shiftUs = 0
  const startedMs = performance.now()
  /** Packet time of the first record of all, and how much packet time earlier passes took. */
  let firstUs = Number.NaN
  for (let pass = 1; pass <= options.loops && !options.stop.requested; pass++) {
    const source = await options.open()
    let passFirstUs = Number.NaN
    let batch = 0
    let linkType = -1
    let lastYieldMs = performance.now()
    try {
      while (!options.stop.requested && (await fill(source, options.onReadError))) {
        while (source.next()) {
          const { record } = source
          if (Number.isNaN(firstUs)) {
            firstUs = record.timeUs
            options.onFirstPacket()
          }
          if (Number.isNaN(passFirstUs)) {
            passFirstUs = record.timeUs
            // A pass begins one millisecond behind the last packet of the one before.
            if (pass > 1) shiftUs = ingress.latestUs + 1000 - passFirstUs
          }
          if (record.linkType !== linkType) {
            linkType = record.linkType
            options.onLinkType(linkType)
          }
          if (Number.isFinite(options.speed)) {
            const dueMs = startedMs + (record.timeUs + shiftUs - firstUs) / 1000 / options.speed
            if (dueMs - performance.now() > GRAIN_US / 1000) {
              ingress.publish()
              if (dueMs - performance.now() > LONG_WAIT_MS) options.onLongWait(dueMs - performance.now())
              await waitUntil(dueMs, options.stop)
              if (options.stop.requested) break
            }
          }
          while (!path.hasRoomFor(record.end - record.at + ROOM_BYTES)) {
            ingress.publish()
            await sleep(1)
          }
          ingress.frame(record, shiftUs)
          if (++batch < BATCH_PACKETS) continue
          batch = 0
          ingress.publish()
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
    ingress.flush()
    await path.flush(ingress.latestUs)
  }
}

/** A merged source leaves a file that failed out, and goes on when asked again. */
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

async function waitUntil(dueMs: number, stop: { requested: boolean }): Promise<void> {
  for (let left = dueMs - performance.now(); left > 0 && !stop.requested; left = dueMs - performance.now()) {
    // A long wait stays able to stop, and to follow a changed system load.
    await sleep(Math.min(left, 100))
  }
}
