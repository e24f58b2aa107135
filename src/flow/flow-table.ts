/**
 * The flow table of one shard: one row per TCP connection, columns in typed arrays, no object or string per packet or per
 * idle flow. About 240 bytes a flow, the index included.
 *
 * Direction 0 is from the endpoint that sent the first packet seen, direction 1 the other. A *key* names a direction of a
 * flow: `slot * 2 + direction`; `key ^ 1` is the opposite direction.
 */
import type { PacketView } from '../decapsulation/packet-view.ts'
import { i32 } from '../wire/bytes.ts'
import { IPV4_DESTINATION, IPV4_SOURCE, IPV6_DESTINATION, IPV6_SOURCE } from '../wire/ip.ts'

const FIRST_CAPACITY = 512
/** Words of the two addresses in `addresses`; IPv4 uses the first of each four. */
const ADDRESS_WORDS = 8
const LAST_GENERATION = 2 ** 29 - 1

export class FlowTable {
  readonly maxFlows: number
  private readonly vniInKey: boolean
  private readonly vlanInKey: boolean
  capacity = FIRST_CAPACITY
  size = 0

  /** slot + 1 by hash, linear probing, at most half full; 0 is empty. */
  private index = new Int32Array(FIRST_CAPACITY * 2)
  /** Free slots form a list through `wheelNext`. */
  private free = -1
  private used = 0

  // One entry per slot.
  hash = new Int32Array(FIRST_CAPACITY)
  /** Source port of direction 0 in the upper half, destination port in the lower. */
  ports = new Int32Array(FIRST_CAPACITY)
  /** Connections of the row that sinks have known, modulo 2^29 (exchange/connection.ts): it survives them. */
  generation = new Int32Array(FIRST_CAPACITY)
  vni = new Int32Array(FIRST_CAPACITY)
  /** VNI and VLAN tags: see PacketView. */
  network = new Int32Array(FIRST_CAPACITY)
  ipVersion = new Uint8Array(FIRST_CAPACITY)
  addresses = new Int32Array(FIRST_CAPACITY * ADDRESS_WORDS)
  /** Bits of Flow. */
  flags = new Uint16Array(FIRST_CAPACITY)
  /** Packets of the flow, both directions, modulo 2^32: the measure of the reorder window. */
  packets = new Int32Array(FIRST_CAPACITY)
  lastSeenUs = new Float64Array(FIRST_CAPACITY)
  /** When its SYN or SYN+ACK was seen; valid with `firstData`. */
  beganUs = new Float64Array(FIRST_CAPACITY)
  /** Fingerprint of the client's first data, where its SYN was seen; 0: none came yet. */
  firstData = new Int32Array(FIRST_CAPACITY)
  /** Doubly linked lists of the expiry wheel. */
  wheelNext = new Int32Array(FIRST_CAPACITY)
  wheelPrevious = new Int32Array(FIRST_CAPACITY)
  wheelBucket = new Uint16Array(FIRST_CAPACITY)
  /** Which of the eviction lists the flow stands in, and its neighbours there. */
  listOf = new Uint8Array(FIRST_CAPACITY)
  listNext = new Int32Array(FIRST_CAPACITY)
  listPrevious = new Int32Array(FIRST_CAPACITY)
  /** Place in the watch list, counted from 1; 0: not watched. */
  watchPlace = new Int32Array(FIRST_CAPACITY)
  /** Entry in the progress register, its lowest bit set where direction 0 is from the endpoint called 1 there; -1: none. */
  progress = new Int32Array(FIRST_CAPACITY)

  // One entry per key (two per slot). Sequence numbers are int32: see wire/seq.ts.
  /** First sequence number of the stream as far as known: ISN + 1, or where a mid-stream start began. */
  base = new Int32Array(FIRST_CAPACITY * 2)
  /** Next byte to deliver. */
  nextSeq = new Int32Array(FIRST_CAPACITY * 2)
  /** Its position in the direction's stream, bytes. */
  nextOffset = new Float64Array(FIRST_CAPACITY * 2)
  /** Highest acknowledgement of this direction's bytes by the other side. */
  highAck = new Int32Array(FIRST_CAPACITY * 2)
  /** Sequence number of the FIN. */
  finSeq = new Int32Array(FIRST_CAPACITY * 2)
  /** Where the present bytes of a truncated segment end. */
  truncatedSeq = new Int32Array(FIRST_CAPACITY * 2)
  /** The end of what was seen of the direction, where that lies after nextSeq: what the other side may acknowledge. */
  sentEnd = new Int32Array(FIRST_CAPACITY * 2)
  /** The end of the window that the other side advertised to it. */
  rightEdge = new Int32Array(FIRST_CAPACITY * 2)
  /** Shift of the windows that it advertises itself. */
  windowScale = new Uint8Array(FIRST_CAPACITY * 2)
  /** Newest timestamp of what it sent in order (TS.Recent of RFC 7323 section 4.3); 0: none. */
  tsRecent = new Int32Array(FIRST_CAPACITY * 2)
  /** Bits of Direction. */
  directionFlags = new Uint16Array(FIRST_CAPACITY * 2)
  /** Packets in a row that lie outside any window. */
  outOfWindow = new Uint8Array(FIRST_CAPACITY * 2)

  /** @param vlanInKey the VLAN tags as well as the VNI tell flows apart */
  constructor(maxFlows: number, vniInKey: boolean, vlanInKey = false) {
    this.maxFlows = maxFlows
    this.vniInKey = vniInKey
    this.vlanInKey = vlanInKey
    // V8 compiles a field that was written once into its readers as a constant. Growing under load would throw all of them away, the
    // whole path, and compile it once more; growing once before there are any leaves nothing to throw away.
    this.grow()
  }

  /** The key of the packet's direction, or -1 when its flow is not here. */
  find(view: PacketView): number {
    const { index, hash: hashes } = this
    const mask = index.length - 1
    const hash = view.hash
    // Stepped before the first look too: what runs each time is compiled right at once, a rare second step makes V8 compile again.
    for (let i = (hash & mask) - 1; ; ) {
      i = (i + 1) & mask
      const slot = index[i]! - 1
      if (slot < 0) return -1
      if (hashes[slot] === hash) {
        const direction = this.match(slot, view)
        if (direction >= 0) return slot * 2 + direction
      }
    }
  }

  get isFull(): boolean {
    return this.size >= this.maxFlows
  }

  /** Opens a flow whose direction 0 is the packet's; its columns are zero. Returns the slot, or -1 when the table is full. */
  insert(view: PacketView): number {
    if (this.isFull) return -1
    if (this.free < 0 && this.used === this.capacity) this.grow()
    const slot = this.free >= 0 ? this.free : this.used++
    if (slot === this.free) this.free = this.wheelNext[slot]! | 0
    this.size++
    const { bytes, ipAt } = view
    this.hash[slot] = view.hash
    this.ports[slot] = i32(bytes, view.tcpAt)
    this.vni[slot] = view.vni
    this.network[slot] = view.network
    this.ipVersion[slot] = view.ipVersion
    const a = slot * ADDRESS_WORDS
    if (view.ipVersion === 4) {
      this.addresses[a] = i32(bytes, ipAt + IPV4_SOURCE)
      this.addresses[a + 4] = i32(bytes, ipAt + IPV4_DESTINATION)
    } else {
      for (let w = 0; w < 4; w++) {
        this.addresses[a + w] = i32(bytes, ipAt + IPV6_SOURCE + 4 * w)
        this.addresses[a + 4 + w] = i32(bytes, ipAt + IPV6_DESTINATION + 4 * w)
      }
    }
    this.listOf[slot] = 0
    this.watchPlace[slot] = 0
    this.clearState(slot)
    this.link(slot)
    return slot
  }

  /** Forgets what the connection did, keeps who talks: for a new connection on the same five-tuple. */
  clearState(slot: number): void {
    this.flags[slot] = 0
    this.packets[slot] = 0
    this.firstData[slot] = 0
    const { base, nextSeq, nextOffset, highAck, finSeq, truncatedSeq, directionFlags, outOfWindow } = this
    const { sentEnd, rightEdge, windowScale, tsRecent } = this
    const key = slot * 2
    base[key] = base[key + 1] = 0
    nextSeq[key] = nextSeq[key + 1] = 0
    nextOffset[key] = nextOffset[key + 1] = 0
    highAck[key] = highAck[key + 1] = 0
    finSeq[key] = finSeq[key + 1] = 0
    truncatedSeq[key] = truncatedSeq[key + 1] = 0
    sentEnd[key] = sentEnd[key + 1] = 0
    rightEdge[key] = rightEdge[key + 1] = 0
    windowScale[key] = windowScale[key + 1] = 0
    tsRecent[key] = tsRecent[key + 1] = 0
    directionFlags[key] = directionFlags[key + 1] = 0
    outOfWindow[key] = outOfWindow[key + 1] = 0
  }

  /** The row's connection gets a number that none before it had; so does one that was given up and continues. */
  newGeneration(slot: number): number {
    this.generation[slot] = (this.generation[slot]! + 1) & LAST_GENERATION
    return this.generation[slot]!
  }

  remove(slot: number): void {
    this.unlink(slot)
    this.wheelNext[slot] = this.free
    this.free = slot
    this.size--
  }

  /** The slots in use, in ascending order; flows may be removed while they are walked through. */
  slots(): Int32Array {
    const slots = new Int32Array(this.size)
    let n = 0
    for (const entry of this.index) if (entry !== 0) slots[n++] = entry - 1
    return slots.sort()
  }

  /** Address words (four; IPv4 in the first) of the endpoint that sends in `direction`. */
  addressOf(slot: number, direction: number): readonly number[] {
    const { addresses } = this
    const a = slot * ADDRESS_WORDS + direction * 4
    return [addresses[a]!, addresses[a + 1]!, addresses[a + 2]!, addresses[a + 3]!]
  }

  /** One of the two ends, the same whichever direction is 0: the address of direction 0 comes after the other. */
  isAddressAbove(slot: number): boolean {
    const { addresses } = this
    const end = slot * ADDRESS_WORDS + 4
    for (let a = slot * ADDRESS_WORDS; a < end; a++) {
      if (addresses[a] !== addresses[a + 4]) return addresses[a]! > addresses[a + 4]!
    }
    return false
  }

  /** Port of the endpoint that sends in `direction`. */
  portOf(slot: number, direction: number): number {
    return direction === 0 ? this.ports[slot]! >>> 16 : this.ports[slot]! & 0xffff
  }

  /** 0 or 1 when the packet belongs to the flow in `slot`, else -1. */
  private match(slot: number, view: PacketView): number {
    if (this.ipVersion[slot] !== view.ipVersion) return -1
    if (this.vniInKey && this.vni[slot] !== view.vni) return -1
    if (this.vlanInKey && this.network[slot] !== view.network) return -1
    const { bytes, ipAt } = view
    const { addresses } = this
    const ports = i32(bytes, view.tcpAt)
    const own = this.ports[slot]!
    const a = slot * ADDRESS_WORDS
    if (view.ipVersion === 4) {
      const source = i32(bytes, ipAt + IPV4_SOURCE)
      const destination = i32(bytes, ipAt + IPV4_DESTINATION)
      if (ports === own && addresses[a] === source && addresses[a + 4] === destination) return 0
      const isReverse = swapPorts(ports) === own && addresses[a] === destination && addresses[a + 4] === source
      return isReverse ? 1 : -1
    }
    return this.matchIpv6(a, view, ports, own)
  }

  /** A method of its own: `match` stays small enough for the compiler to take it into `find`. */
  private matchIpv6(a: number, { bytes, ipAt }: PacketView, ports: number, own: number): number {
    if (
      ports === own &&
      this.sameIpv6(a, bytes, ipAt + IPV6_SOURCE) &&
      this.sameIpv6(a + 4, bytes, ipAt + IPV6_DESTINATION)
    )
      return 0
    const isReverse =
      swapPorts(ports) === own &&
      this.sameIpv6(a, bytes, ipAt + IPV6_DESTINATION) &&
      this.sameIpv6(a + 4, bytes, ipAt + IPV6_SOURCE)
    return isReverse ? 1 : -1
  }

  private sameIpv6(a: number, bytes: Uint8Array, at: number): boolean {
    const { addresses } = this
    return (
      addresses[a] === i32(bytes, at) &&
      addresses[a + 1] === i32(bytes, at + 4) &&
      addresses[a + 2] === i32(bytes, at + 8) &&
      addresses[a + 3] === i32(bytes, at + 12)
    )
  }

  private link(slot: number): void {
    const mask = this.index.length - 1
    let i = this.hash[slot]! & mask
    while (this.index[i] !== 0) i = (i + 1) & mask
    this.index[i] = slot + 1
  }

  /** Backward-shift deletion: no tombstones, so a table that lives for months does not silt up. */
  private unlink(slot: number): void {
    const { index, hash } = this
    const mask = index.length - 1
    let hole = hash[slot]! & mask
    while (index[hole] !== slot + 1) hole = (hole + 1) & mask
    for (let i = (hole + 1) & mask; index[i] !== 0; i = (i + 1) & mask) {
      const home = hash[index[i]! - 1]! & mask
      // The entry may move into the hole unless its home lies cyclically after the hole.
      if (((i - home) & mask) >= ((i - hole) & mask)) {
        index[hole] = index[i]!
        hole = i
      }
    }
    index[hole] = 0
  }

  private grow(): void {
    const capacity = Math.min(this.capacity * 2, Math.max(this.maxFlows, FIRST_CAPACITY))
    this.capacity = capacity
    this.hash = grown(this.hash, capacity)
    this.ports = grown(this.ports, capacity)
    this.generation = grown(this.generation, capacity)
    this.vni = grown(this.vni, capacity)
    this.network = grown(this.network, capacity)
    this.ipVersion = grown(this.ipVersion, capacity)
    this.addresses = grown(this.addresses, capacity * ADDRESS_WORDS)
    this.flags = grown(this.flags, capacity)
    this.packets = grown(this.packets, capacity)
    this.lastSeenUs = grown(this.lastSeenUs, capacity)
    this.beganUs = grown(this.beganUs, capacity)
    this.firstData = grown(this.firstData, capacity)
    this.wheelNext = grown(this.wheelNext, capacity)
    this.wheelPrevious = grown(this.wheelPrevious, capacity)
    this.wheelBucket = grown(this.wheelBucket, capacity)
    this.listOf = grown(this.listOf, capacity)
    this.listNext = grown(this.listNext, capacity)
    this.listPrevious = grown(this.listPrevious, capacity)
    this.watchPlace = grown(this.watchPlace, capacity)
    this.progress = grown(this.progress, capacity)
    this.base = grown(this.base, capacity * 2)
    this.nextSeq = grown(this.nextSeq, capacity * 2)
    this.nextOffset = grown(this.nextOffset, capacity * 2)
    this.highAck = grown(this.highAck, capacity * 2)
    this.finSeq = grown(this.finSeq, capacity * 2)
    this.truncatedSeq = grown(this.truncatedSeq, capacity * 2)
    this.sentEnd = grown(this.sentEnd, capacity * 2)
    this.rightEdge = grown(this.rightEdge, capacity * 2)
    this.windowScale = grown(this.windowScale, capacity * 2)
    this.tsRecent = grown(this.tsRecent, capacity * 2)
    this.directionFlags = grown(this.directionFlags, capacity * 2)
    this.outOfWindow = grown(this.outOfWindow, capacity * 2)
    this.index = new Int32Array(2 ** Math.ceil(Math.log2(capacity * 2)))
    // Growing happens only while no slot is free, so every slot below `used` is in use.
    for (let slot = 0; slot < this.used; slot++) this.link(slot)
  }
}

function swapPorts(ports: number): number {
  return (ports << 16) | (ports >>> 16)
}

function grown<T extends Int32Array | Uint16Array | Uint8Array | Float64Array>(column: T, length: number): T {
  const next = new (column.constructor as new (length: number) => T)(length)
  next.set(column)
  return next
}
