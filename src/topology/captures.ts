/** Capture files as one source: all are opened before a packet is read, a bad one among several is told and left out. */
import { MirrorError } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import type { RecordSource } from '../sources/capture-record.ts'
import { mergeCaptures } from '../sources/files/merge-captures.ts'
import { openCapture } from '../sources/files/open-capture.ts'
import { LinkType } from '../wire/link-type.ts'
import { tell, warn } from './output.ts'

const READ_LINK_TYPES: ReadonlySet<number> = new Set(Object.values(LinkType))

export class Captures {
  /** Files that could not be opened or read to their end. */
  failed = 0
  private usable: readonly string[]

  constructor(paths: readonly string[]) {
    this.usable = paths
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
          tell(`mirrorshard: ${printable(error.message)}`)
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

  see(linkType: number): void {
    if (READ_LINK_TYPES.has(linkType) || this.told.has(linkType)) return
    this.told.add(linkType)
    warn(`link type ${linkType} is not read: its packets are counted as dropped (linkType)`)
  }
}
