/** `mirrorshard capture`: packets of an interface into a pcap file, for local testing. */
import { MonotonicClock } from '../../base/clock.ts'
import { EXIT } from '../../base/errors.ts'
import { plural } from '../../base/plural.ts'
import type { CaptureOptions } from '../../config/options.ts'
import { PcapWriter } from '../../sources/files/pcap-writer.ts'
import { openInterfaceCapture } from '../../sources/live/interface-capture.ts'
import { openCommandLog } from '../command-log.ts'

const SNAP_LENGTH = 65_535

export async function execute(options: CaptureOptions): Promise<number> {
  const log = openCommandLog(options)
  let packets = 0
  let writer: PcapWriter | null = null
  let failure: unknown = null
  let finish = (): void => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const capture = await openInterfaceCapture(
    {
      interfaceName: options.interface,
      filter: options.filter ?? '',
      bufferBytes: options.captureBufferBytes,
      snapLength: SNAP_LENGTH,
    },
    {
      packet: (record) => {
        if (packets >= options.limit || failure !== null || writer === null) return
        try {
          writer.write(record.bytes, record.at, record.end, record.wireLength, record.timeUs)
        } catch (error) {
          failure = error
          finish()
          return
        }
        if (++packets === options.limit) finish()
      },
      batchEnd: () => {},
    },
    new MonotonicClock(),
  )
  try {
    writer = PcapWriter.create(options.out, capture.linkType)
    log.event(
      'capturing',
      `capturing on ${options.interface} into ${options.out}, at most ${plural(options.limit, 'packet')}; Ctrl-C ends`,
    )
    process.once('SIGINT', finish)
    process.once('SIGTERM', finish)
    await finished
  } finally {
    await capture.stop()
    writer?.close()
  }
  if (failure !== null) throw failure
  log.event('captured', `${plural(packets, 'packet')} written to ${options.out}`, { count: packets })
  return EXIT.ok
}
