/** Hands inner TCP packets to the shard that owns their flow: through its ring, or directly when the path runs on one thread. */
import { PacketDrop } from '../base/drop.ts'
import type { PacketView } from '../decapsulation/packet-view.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { PassedOver } from '../metrics/passed-over.ts'
import type { RingProducer } from '../ring/ring.ts'
import { u16 } from '../wire/bytes.ts'
import { fiveTupleHash } from './hash.ts'
import type { Shedding } from './shedding.ts'

export interface DispatchOptions {
  /** Equal five-tuples under different VNIs are different flows. */
  readonly vniInKey: boolean
  /** And under different VLAN tags. */
  readonly vlanInKey?: boolean
  /** Server ports taken; null: any. */
  readonly ports: ReadonlySet<number> | null
  /** Key of the hash, int32, random per process. */
  readonly hashKey: number
}

/** Where packets go: rings of shards, or a shard on this thread. */
export interface PacketOutlet {
  /** Takes the packet of a flow with `view.hash`. Returns the reason when it does not: a value of PacketDrop, `none` when it does. */
  offer(view: PacketView): number
  /** End of a batch. @param nowUs of a clock that never goes back */
  publish(nowUs: number): void
}

export class Dispatcher {
  private options: DispatchOptions
  private readonly outlet: PacketOutlet
  private readonly counters: CounterBlock

  constructor(options: DispatchOptions, outlet: PacketOutlet, counters: CounterBlock) {
    this.options = options
    this.outlet = outlet
    this.counters = counters
  }

  /** `view` holds an inner TCP packet and its times; the hash is set here. */
  dispatch(view: PacketView): void {
    const { ports } = this.options
    if (ports !== null) {
      const source = u16(view.bytes, view.tcpAt)
      const destination = u16(view.bytes, view.tcpAt + 2)
      if (!ports.has(source) && !ports.has(destination)) {
        this.counters.add(Counter.packetsProcessed)
        this.counters.add(Counter.packetsOther)
        // The server's: clients take theirs from the upper end (RFC 6335 section 6).
        this.counters.passOver(PassedOver.tcpPort, Math.min(source, destination))
        return
      }
    }
    const { vniInKey, vlanInKey } = this.options
    const salt = vlanInKey === true ? view.network : vniInKey ? view.vni + 2 : 0
    view.hash = fiveTupleHash(view.bytes, view.ipAt, view.ipVersion, view.tcpAt, salt, this.options.hashKey)
    const refusal = this.outlet.offer(view)
    if (refusal === PacketDrop.none) this.counters.add(Counter.packetsDispatched)
    else this.counters.packetDrop(refusal)
  }

  /** Takes over the ports between two packets. The rest decides which shard owns a connection, and stays. */
  change({ ports }: DispatchOptions): void {
    this.options = { ...this.options, ports }
  }

  /** @param nowUs of a clock that never goes back */
  publish(nowUs: number): void {
    this.outlet.publish(nowUs)
  }
}

/** Shards behind rings. The upper bits of the hash choose, so that each shard's flow table sees evenly spread lower bits. */
export class RingOutlet implements PacketOutlet {
  private readonly rings: readonly RingProducer[]
  /** null: nothing is shed, a full ring refuses. */
  private readonly shedding: Shedding | null
  private readonly backlogs: Float64Array

  /** @param shedding of the producer that writes these rings; null where packets wait for room */
  constructor(rings: readonly RingProducer[], shedding: Shedding | null) {
    this.rings = rings
    this.shedding = shedding
    this.backlogs = new Float64Array(rings.length)
  }

  offer(view: PacketView): number {
    const shard = shardOf(view.hash, this.rings.length)
    const { shedding } = this
    if (shedding?.isActive && shedding.sheds(view.hash, shard)) return PacketDrop.shed
    return this.rings[shard]!.tryWrite(view) ? PacketDrop.none : PacketDrop.ringFull
  }

  publish(nowUs: number): void {
    const { rings, shedding, backlogs } = this
    for (let i = 0; i < rings.length; i++) rings[i]!.publish()
    if (shedding === null || !shedding.isDue(nowUs)) return
    for (let i = 0; i < rings.length; i++) backlogs[i] = rings[i]!.backlog() / rings[i]!.capacity
    shedding.judge(backlogs, nowUs)
  }

  /** Whether every ring has room for a packet of `bytes`: files wait until it is so. */
  hasRoomFor(bytes: number): boolean {
    for (let i = 0; i < this.rings.length; i++) if (!this.rings[i]!.hasRoomFor(bytes)) return false
    return true
  }
}

/** Shard index of a hash: its upper 16 bits scaled, for any number of shards up to 65,536. */
export function shardOf(hash: number, shards: number): number {
  return ((hash >>> 16) * shards) >>> 16
}
