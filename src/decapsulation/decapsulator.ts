/**
 * Finds the inner TCP packet of whatever a mirror or a capture delivers, from the outermost header inward: a fast path for what
 * nearly all packets are, and a slow path, header by header, for everything.
 *
 * In: bytes of a frame or of a mirrored datagram. Out: `view` filled and `Verdict.tcp`; or one of the other verdicts. No
 * header is trusted: every layer checks its length before it reads, and each refusal is one reason of PacketDrop.
 */
import { PacketDrop } from '../base/drop.ts'
import type { CounterBlock } from '../metrics/counters.ts'
import { PassedOver } from '../metrics/passed-over.ts'
import { formatNumber } from '../metrics/refused-numbers.ts'
import { u24 } from '../wire/bytes.ts'
import { LinkType } from '../wire/link-type.ts'
import { VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN, VXLAN_VNI } from '../wire/vxlan.ts'
import { Cursor, type DecapsulatorOptions, NO_VNI } from './cursor.ts'
import { tryFastPath } from './fast-path.ts'
import { formatOf, formatOfLayer, mayBeForeign } from './format-of.ts'
import { Layer } from './layer.ts'
import { layerOfLinkType } from './layers/link-type.ts'
import type { PacketView } from './packet-view.ts'
import { STEPS } from './steps.ts'
import { Verdict } from './verdict.ts'

/** Headers one after another that no real packet has; a bound for crafted ones. */
const MAX_STEPS = 256

/** Bytes of the longest UDP payload, and more. */
const MOST_DATAGRAM = 0xffff

/** Verdicts whose cause is the receive slot where the datagram did not fit it. */
const ENDED_EARLY: ReadonlySet<number> = new Set([
  PacketDrop.linkTruncated,
  PacketDrop.vxlanTruncated,
  PacketDrop.gpeTruncated,
  PacketDrop.geneveTruncated,
  PacketDrop.greTruncated,
  PacketDrop.mplsTruncated,
  PacketDrop.pppoeTruncated,
  PacketDrop.ipTruncated,
  PacketDrop.fragmentTruncated,
  PacketDrop.tcpTruncated,
  PacketDrop.tunnelTruncated,
])

export class Decapsulator {
  readonly view: PacketView
  private readonly cursor: Cursor
  /** As the cursor's: here it is one load nearer. */
  private allowsFastPath: boolean

  constructor(options: DecapsulatorOptions, counters: CounterBlock) {
    this.cursor = new Cursor(options, counters)
    this.view = this.cursor.view
    this.allowsFastPath = this.cursor.allowsFastPath
  }

  /** Takes over whom to hear, between two packets; the rest stays. */
  change({ allowFrom, vnis }: Pick<DecapsulatorOptions, 'allowFrom' | 'vnis'>): void {
    this.cursor.change({ ...this.cursor.options, allowFrom, vnis })
    this.allowsFastPath = this.cursor.allowsFastPath
  }

  /** Time of what comes next, never going back: waiting fragments grow old by it. A field, because a number passed along would be boxed. */
  set nowUs(timeUs: number) {
    this.cursor.nowUs = timeUs
  }

  /** A whole frame of a capture. `wireEnd - at` is its length on the wire. */
  frame(bytes: Buffer, at: number, end: number, wireEnd: number, linkType: number): number {
    const isDone =
      linkType === LinkType.ethernet && this.allowsFastPath && tryFastPath(this.view, bytes, at, end, NO_VNI)
    if (isDone) return Verdict.tcp
    const { cursor } = this
    const layer = layerOfLinkType(linkType)
    if (layer === Layer.done) {
      cursor.passOver(PassedOver.linkType, linkType)
      return PacketDrop.linkType
    }
    cursor.start(bytes, at, end, wireEnd)
    return this.slowPath(layer)
  }

  /**
   * The payload of a mirrored datagram, beginning at `layer` (vxlan, gpe, geneve or tzsp).
   * @param isTruncated the datagram was longer than what is here
   */
  datagram(bytes: Buffer, at: number, end: number, isTruncated: boolean, layer: number): number {
    const isDone =
      layer === Layer.vxlan &&
      this.allowsFastPath &&
      !isTruncated &&
      end - at >= VXLAN_HEADER_LEN &&
      (bytes[at]! & VXLAN_FLAG_VNI_VALID) !== 0 &&
      tryFastPath(this.view, bytes, at + VXLAN_HEADER_LEN, end, u24(bytes, at + VXLAN_VNI))
    if (isDone) return Verdict.tcp
    // How much is missing is unknown; inner IP headers state their own length.
    this.cursor.start(bytes, at, end, isTruncated ? end + 1 : end, isTruncated)
    const verdict = this.slowPath(layer)
    if (isTruncated) this.noteLength(verdict, bytes, at, end)
    if (verdict !== Verdict.tcp && mayBeForeign(verdict, bytes, at, end, layer)) this.noteFormat(bytes, at, end, layer)
    return isTruncated && ENDED_EARLY.has(verdict) ? PacketDrop.datagramTruncated : verdict
  }

  /** Lets waiting fragments grow old. */
  tick(): void {
    this.cursor.fragments.expire(this.cursor.nowUs)
  }

  /** The end of the input: what still waits is dropped. */
  flush(): void {
    this.cursor.fragments.clear()
  }

  /** How long a datagram was that its slot truncated: as the innermost IP header says that was reached. */
  private noteLength(verdict: number, bytes: Buffer, at: number, end: number): void {
    const { cursor, view } = this
    const stated = verdict === Verdict.tcp ? view.trueEnd : cursor.wireEnd
    const isOfDatagram = verdict === Verdict.tcp ? view.bytes === bytes : cursor.bytes === bytes
    cursor.counters.passOver(PassedOver.datagramBytes, Math.max(end + 1, isOfDatagram ? stated : 0) - at)
  }

  private noteFormat(bytes: Buffer, at: number, end: number, layer: number): void {
    const { cursor } = this
    // The end on the wire is not known where the slot was too short: any is believed.
    cursor.start(bytes, at, end, cursor.isTruncatedHere ? at + MOST_DATAGRAM : end)
    const expected = formatOfLayer(layer)
    const found = formatOf(cursor)
    if (found !== expected) cursor.counters.passOver(PassedOver.format, formatNumber(expected, found))
  }

  private slowPath(first: number): number {
    const { cursor } = this
    let layer = first
    for (let steps = 0; layer !== Layer.done; steps++) {
      if (steps >= MAX_STEPS) return PacketDrop.tunnelDepth
      layer = STEPS[layer]!(cursor)
    }
    return cursor.verdict
  }
}
