/**
 * The receiving side of the path: source → decapsulate → defragment → dispatch, on the main thread. One object for files, UDP
 * and interfaces; it counts every packet as received and makes sure that each becomes processed, dropped or held.
 */
import { PacketDrop } from '../base/drop.ts'
import type { DecapsulatorOptions } from '../decapsulation/cursor.ts'
import { Decapsulator } from '../decapsulation/decapsulator.ts'
import { Layer } from '../decapsulation/layer.ts'
import type { NetworkList } from '../decapsulation/networks.ts'
import type { PacketView } from '../decapsulation/packet-view.ts'
import { Verdict } from '../decapsulation/verdict.ts'
import { Dispatcher, type DispatchOptions, type PacketOutlet } from '../dispatch/dispatcher.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { PassedOver } from '../metrics/passed-over.ts'
import { sourceNumber } from '../metrics/refused-numbers.ts'
import type { CaptureRecord } from '../sources/capture-record.ts'
import type { PeerAddress } from '../sources/datagram-receiver.ts'

export type TunnelFormat = 'vxlan' | 'gpe' | 'geneve' | 'tzsp'

export interface PacketPipelineOptions {
  readonly decapsulation: DecapsulatorOptions
  readonly dispatch: DispatchOptions
}

export class PacketPipeline {
  private readonly decapsulator: Decapsulator
  private readonly dispatcher: Dispatcher
  private readonly counters: CounterBlock
  /** The packet in hand; its nowUs is the latest time seen: timers never go back. */
  private readonly view: PacketView

  constructor(options: PacketPipelineOptions, outlet: PacketOutlet, counters: CounterBlock) {
    this.decapsulator = new Decapsulator(options.decapsulation, counters)
    this.view = this.decapsulator.view
    this.dispatcher = new Dispatcher(options.dispatch, outlet, counters)
    this.counters = counters
  }

  /** A frame as captured. @param shiftUs added to its time: passes of a loop follow each other */
  frame(record: CaptureRecord, shiftUs = 0): void {
    const { bytes, at, end } = record
    this.received(end - at)
    this.advance(record.timeUs + shiftUs)
    this.view.timeUs = record.timeUs + shiftUs
    this.settle(this.decapsulator.frame(bytes, at, end, at + record.wireLength, record.linkType))
  }

  /** The payload of a mirrored datagram. @param allowed source networks; null: any @param timeUs of its arrival, where that is known better */
  datagram(
    bytes: Buffer,
    at: number,
    end: number,
    isTruncated: boolean,
    format: TunnelFormat,
    peer: PeerAddress,
    allowed: NetworkList | null,
    nowUs: number,
    timeUs = nowUs,
  ): void {
    this.received(end - at)
    this.advance(nowUs)
    if (allowed !== null && !isAllowed(allowed, peer)) {
      this.counters.packetDrop(PacketDrop.sourceNotAllowed)
      this.counters.passOver(PassedOver.source, sourceNumber(peer.family, peer.words[0]!, peer.words[1]!))
      return
    }
    this.view.timeUs = timeUs
    this.settle(this.decapsulator.datagram(bytes, at, end, isTruncated, Layer[format]))
  }

  /** Time passes without packets. */
  tick(nowUs: number): void {
    this.advance(nowUs)
    this.decapsulator.tick()
  }

  /**
   * Makes the counters visible to everybody, and then what was dispatched to the shards: should the thread die in between, no shard is
   * seen to have handled what was not yet received. Once per batch.
   */
  publish(): void {
    this.counters.publish()
    this.dispatcher.publish(this.view.nowUs)
  }

  /** No more packets: fragments that wait are dropped. */
  flush(): void {
    this.decapsulator.flush()
    this.publish()
  }

  /** Takes over other options between two packets. The hash's key, the depths and the bounds of fragments stay what they were. */
  change({ decapsulation, dispatch }: PacketPipelineOptions): void {
    this.decapsulator.change(decapsulation)
    this.dispatcher.change(dispatch)
  }

  get latestUs(): number {
    return this.view.nowUs
  }

  private received(bytes: number): void {
    this.counters.add(Counter.packetsReceived)
    this.counters.add(Counter.bytesReceived, bytes)
  }

  private advance(timeUs: number): void {
    if (timeUs <= this.view.nowUs) return
    this.view.nowUs = timeUs
    this.decapsulator.nowUs = timeUs
  }

  private settle(verdict: number): void {
    if (verdict === Verdict.tcp) {
      this.dispatcher.dispatch(this.view)
    } else if (verdict === Verdict.other) {
      this.counters.add(Counter.packetsProcessed)
      this.counters.add(Counter.packetsOther)
    } else if (verdict !== Verdict.held) this.counters.packetDrop(verdict)
  }
}

function isAllowed(list: NetworkList, peer: PeerAddress): boolean {
  const { words } = peer
  return peer.family === 4 ? list.hasIpv4(words[0]!) : list.hasIpv6(words[0]!, words[1]!, words[2]!, words[3]!)
}
