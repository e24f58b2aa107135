/**
 * IP fragments waiting for the rest of their datagram (RFC 791 section 3.2, RFC 8200 section 4.5).
 *
 * A datagram is known by network (VNI and VLAN tags), addresses, identification and protocol. Fragments are copied in and given back as one whole
 * packet. Bytes are never merged from fragments that overlap: the older set is dropped and the newer fragment starts
 * afresh, and what is then put together is `isSuspect`: a late fragment of the older datagram may have slipped in, which only a
 * checksum shows. Bounded in datagrams, bytes and age; the oldest goes first.
 */
import { PacketDrop } from '../base/drop.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { u16 } from '../wire/bytes.ts'
import { writeIpv4Checksum } from '../wire/checksum.ts'
import {
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_ID,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV6_FRAGMENT_HEADER_LEN,
  IPV6_HEADER_LEN,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
} from '../wire/ip.ts'

export interface FragmentLimits {
  /** Datagrams waiting at once. */
  readonly datagrams: number
  /** Bytes of all waiting fragments. */
  readonly bytes: number
  /** Age of the first fragment at which a datagram is given up. */
  readonly timeoutMs: number
}

interface Fragment {
  readonly at: number
  readonly end: number
  readonly bytes: Buffer
}

interface Datagram {
  readonly key: string
  readonly createdUs: number
  /** It began where another datagram of the same key was dropped. */
  readonly isSuspect: boolean
  /** Sorted by `at`, disjoint. */
  readonly fragments: Fragment[]
  /** Packets held for it, duplicates included. */
  packets: number
  heldBytes: number
  /** Payload bytes received, and their total once the last fragment is here (else -1). */
  have: number
  total: number
  /** IP header of the fragment at offset 0. */
  header: Buffer | null
  /** Longest payload that the length field of that header can state. */
  room: number
  /** IPv6: next header as the fragment at offset 0 states it. */
  nextHeader: number
  /** Neighbours by age. */
  older: Datagram | null
  younger: Datagram | null
}

/** What a 16-bit length field can state: of IPv4 the whole packet, of IPv6 what follows the base header. */
const MAX_LENGTH = 65_535
/** Fixed cost of a fragment in the byte bound, so that floods of tiny ones count too; about what the objects weigh. */
const FRAGMENT_OVERHEAD = 256

export class FragmentStore {
  private readonly waiting = new Map<string, Datagram>()
  /** By age, in a list of its own: a Map's iterator begins with every entry that was deleted at its front. */
  private oldest: Datagram | null = null
  private newest: Datagram | null = null
  private bytes = 0
  /** The packet given back last was put together after another datagram had used its identification. */
  isSuspect = false
  private readonly limits: FragmentLimits
  private readonly counters: CounterBlock

  constructor(limits: FragmentLimits, counters: CounterBlock) {
    this.limits = limits
    this.counters = counters
  }

  /**
   * Takes an IPv4 fragment whose header is at `at` and whose payload is [payloadAt, end).
   * @returns the whole packet when this fragment completes it, else null
   */
  addIpv4(bytes: Buffer, at: number, payloadAt: number, end: number, network: number, nowUs: number): Buffer | null {
    const field = u16(bytes, at + IPV4_FRAGMENT)
    const id =
      bytes.toString('latin1', at + IPV4_SOURCE, at + IPV4_DESTINATION + 4) +
      bytes.toString('latin1', at + IPV4_ID, at + IPV4_ID + 2)
    const key = `4${network},${bytes[at + IPV4_PROTOCOL]!},${id}`
    const offset = (field & IPV4_FRAGMENT_OFFSET) * 8
    const room = MAX_LENGTH - (payloadAt - at)
    const datagram = this.add(key, bytes, payloadAt, end, offset, (field & IPV4_MORE_FRAGMENTS) !== 0, room, nowUs)
    if (datagram === null) return null
    if (offset === 0) {
      datagram.header = Buffer.from(bytes.subarray(at, payloadAt))
      datagram.room = room
    }
    return this.takeIfComplete(datagram, (header, total) => {
      header.writeUInt16BE(header.length + total, IPV4_TOTAL_LENGTH)
      header.writeUInt16BE(0, IPV4_FRAGMENT)
      writeIpv4Checksum(header)
    })
  }

  /** The same for IPv6: base header at `at`, fragment header at `fragmentAt`, payload [fragmentAt + 8, end). */
  addIpv6(bytes: Buffer, at: number, fragmentAt: number, end: number, network: number, nowUs: number): Buffer | null {
    const field = u16(bytes, fragmentAt + 2)
    const id =
      bytes.toString('latin1', at + IPV6_SOURCE, at + IPV6_SOURCE + 32) +
      bytes.toString('latin1', fragmentAt + 4, fragmentAt + 8)
    const offset = field & 0xfff8
    const payloadAt = fragmentAt + IPV6_FRAGMENT_HEADER_LEN
    // The payload length does not count the base header.
    const datagram = this.add(`6${network},${id}`, bytes, payloadAt, end, offset, (field & 1) !== 0, MAX_LENGTH, nowUs)
    if (datagram === null) return null
    if (offset === 0) {
      // Extension headers before the fragment header carry nothing we read: the packet is rebuilt without them.
      datagram.header = Buffer.from(bytes.subarray(at, at + IPV6_HEADER_LEN))
      datagram.nextHeader = bytes[fragmentAt]!
    }
    return this.takeIfComplete(datagram, (header, total) => {
      header.writeUInt16BE(total, IPV6_PAYLOAD_LENGTH)
      header[IPV6_NEXT_HEADER] = datagram.nextHeader
    })
  }

  /** Gives up what is too old. Called as time passes, also when no fragment comes. */
  expire(nowUs: number): void {
    const limitUs = nowUs - this.limits.timeoutMs * 1000
    while (this.oldest !== null && this.oldest.createdUs <= limitUs) this.drop(this.oldest, PacketDrop.fragmentTimeout)
  }

  /** Gives up everything: the end of the input. */
  clear(): void {
    while (this.oldest !== null) this.drop(this.oldest, PacketDrop.fragmentTimeout)
  }

  private add(
    key: string,
    bytes: Buffer,
    payloadAt: number,
    payloadEnd: number,
    offset: number,
    more: boolean,
    room: number,
    nowUs: number,
  ): Datagram | null {
    this.expire(nowUs)
    const length = payloadEnd - payloadAt
    const end = offset + length
    // Every fragment but the last is a multiple of 8 bytes and none is empty.
    if (length <= 0 || (more && (length & 7) !== 0) || end > room) {
      this.counters.packetDrop(PacketDrop.fragmentInvalid)
      return null
    }
    let datagram = this.waiting.get(key)
    const payload = bytes.subarray(payloadAt, payloadEnd)
    let isSuspect = false
    let place = datagram === undefined ? 0 : placeOf(datagram.fragments, offset)
    if (
      datagram !== undefined &&
      (contradicts(datagram, end, more) || overlaps(datagram.fragments, place, offset, payload))
    ) {
      this.drop(datagram, PacketDrop.fragmentInvalid)
      datagram = undefined
      isSuspect = true
    }
    if (datagram === undefined) {
      place = 0
      datagram = newDatagram(key, nowUs, isSuspect)
      this.waiting.set(key, datagram)
      datagram.older = this.newest
      if (this.newest === null) this.oldest = datagram
      else this.newest.younger = datagram
      this.newest = datagram
    }
    if (!more) datagram.total = end
    datagram.packets++
    this.counters.add(Counter.fragmentsHeld)
    const isDuplicate = datagram.fragments[place]?.at === offset
    if (!isDuplicate) {
      datagram.fragments.splice(place, 0, { at: offset, end, bytes: Buffer.from(payload) })
      datagram.have += length
    }
    const cost = (isDuplicate ? 0 : length) + FRAGMENT_OVERHEAD
    datagram.heldBytes += cost
    this.bytes += cost
    this.makeRoom(datagram)
    this.counters.set(Counter.fragmentBytes, this.bytes)
    return this.waiting.has(key) ? datagram : null
  }

  /** Drops the oldest datagrams until the bounds hold; `latest` itself goes last. */
  private makeRoom(latest: Datagram): void {
    for (let datagram = this.oldest; datagram !== null && this.isFull(); ) {
      const next: Datagram | null = datagram.younger
      if (datagram !== latest) this.drop(datagram, PacketDrop.fragmentLimit)
      datagram = next
    }
    if (this.isFull()) this.drop(latest, PacketDrop.fragmentLimit)
  }

  private isFull(): boolean {
    return this.waiting.size > this.limits.datagrams || this.bytes > this.limits.bytes
  }

  private takeIfComplete(datagram: Datagram, finish: (header: Buffer, total: number) => void): Buffer | null {
    if (datagram.header === null || datagram.have !== datagram.total) return null
    // Only the first fragment's header says how long the whole is: later ones may carry fewer options.
    if (datagram.total > datagram.room) {
      this.drop(datagram, PacketDrop.fragmentInvalid)
      return null
    }
    finish(datagram.header, datagram.total)
    const whole = Buffer.concat([datagram.header, ...datagram.fragments.map((f) => f.bytes)])
    this.forget(datagram)
    this.isSuspect = datagram.isSuspect
    this.counters.add(Counter.datagramsReassembled)
    // The whole goes on as one packet; the other fragments end here.
    this.counters.add(Counter.packetsProcessed, datagram.packets - 1)
    return whole
  }

  private drop(datagram: Datagram, reason: number): void {
    this.counters.packetDrop(reason, datagram.packets)
    this.forget(datagram)
  }

  private forget(datagram: Datagram): void {
    this.waiting.delete(datagram.key)
    const { older, younger } = datagram
    if (older === null) this.oldest = younger
    else older.younger = younger
    if (younger === null) this.newest = older
    else younger.older = older
    this.bytes -= datagram.heldBytes
    this.counters.add(Counter.fragmentsHeld, -datagram.packets)
    this.counters.set(Counter.fragmentBytes, this.bytes)
  }
}

/** The fragment says another end of the datagram than is known, or stands beyond it. */
function contradicts(datagram: Datagram, end: number, more: boolean): boolean {
  const last = datagram.fragments.at(-1)
  if (!more) return (datagram.total >= 0 && datagram.total !== end) || (last !== undefined && last.end > end)
  return datagram.total >= 0 && end >= datagram.total
}

/** The fragment at `at` covers bytes that are here already, unless it only repeats one. */
function overlaps(fragments: readonly Fragment[], place: number, at: number, payload: Buffer): boolean {
  const before = fragments[place - 1]
  const behind = fragments[place]
  if (before !== undefined && before.end > at) return true
  if (behind === undefined || behind.at >= at + payload.length) return false
  // The same place with other bytes: another datagram that uses the identification again.
  return behind.at !== at || !behind.bytes.equals(payload)
}

/** Index of the first fragment at or after `at`. */
function placeOf(fragments: readonly Fragment[], at: number): number {
  let low = 0
  let high = fragments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (fragments[middle]!.at < at) low = middle + 1
    else high = middle
  }
  return low
}

function newDatagram(key: string, createdUs: number, isSuspect: boolean): Datagram {
  const nothing = { packets: 0, heldBytes: 0, have: 0, total: -1, header: null, room: MAX_LENGTH, nextHeader: 0 }
  return { key, createdUs, isSuspect, fragments: [], older: null, younger: null, ...nothing }
}
