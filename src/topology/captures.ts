/** Capture files as one source: all are opened before a packet is read, a bad one among several is told and left out. */
import { MirrorError } from '../base/errors.ts'
import type { TellEvent } from '../report/log-events.ts'
import type { RecordSource } from '../sources/capture-record.ts'
import { mergeCaptures } from '../sources/files/merge-captures.ts'
import { openCapture } from '../sources/files/open-capture.ts'
import { LinkType } from '../wire/link-type.ts'

const READ_LINK_TYPES: ReadonlySet<number> = new Set(Object.values(LinkType))

export class Captures {
  /** Files that could not be opened or read to their end. */
  failed = 0
  private usable: readonly string[]
  private readonly tell: TellEvent

  constructor(paths: readonly string[], tell: TellEvent) {
    this.usable = paths
    this.tell = tell
  }

  /** @throws MirrorError of the first bad file when none is good */
  async open(): Promise<RecordSource> {
    const sources: RecordSource[] = []
    const good: string[] = []
    let firstError: MirrorError | null = null
    for (const path of this.usable) {
      try {
        sources.push(await openCapture(path))
        good.push(path)
      } catch (error) {
        if (!(error instanceof MirrorError)) throw error
        firstError ??= error
        if (this.usable.length > 1) {
          this.failed++
          this.tell('read-failed', error.message, { code: error.code })
        }
      }
    }
    this.usable = good
    if (sources.length === 0)
      throw this.failed > 0 ? new MirrorError('ERR_CAPTURE_OPEN', 'none of the files can be read') : firstError!
    return mergeCaptures(sources)
  }
}

/** Tells of link types that are not read, each once. */
export class LinkTypeWatch {
  private readonly told = new Set<number>()
  private readonly tell: TellEvent

  constructor(tell: TellEvent) {
    this.tell = tell
  }

  see(linkType: number): void {
    if (READ_LINK_TYPES.has(linkType) || this.told.has(linkType)) return
    this.told.add(linkType)
    this.tell('capture-warning', `link type ${linkType} is not read: its packets are counted as dropped (linkType)`)
  }
}
