/**
 * The sample traffic: many connections under way at once, each frame in the order in which a mirror would send it. The same
 * seed gives the same frames. Every request is complete: what does not arrive was lost on our side.
 */
import { EtherType } from '../../wire/ethernet.ts'
import { seqAdd, seqBefore } from '../../wire/seq.ts'
import { TcpFlag } from '../../wire/tcp.ts'
import { type AdversityOptions, chooseCut, disturb } from './adversity.ts'
import { converse } from './http-conversation.ts'
import { arpFrame, dnsFrame, tlsSegments } from './noise.ts'
import { Random } from './random.ts'
import type { SampleRequest } from './sample-request.ts'
import { emptyTally, type Tally } from './tally.ts'
import { other, type Segment, TcpConversation } from './tcp-conversation.ts'
import { type Endpoint, tcpFrames, type VlanTag } from './wire-builder.ts'

export interface SampleTrafficOptions {
  /** Connections under way at once. */
  readonly connections?: number
  readonly adversity?: AdversityOptions
}

export interface TrafficSink {
  /** The ground truth, before the first frame of the request's connection. */
  request(request: SampleRequest): void
  /** One mirrored Ethernet frame; its bytes may be kept. @param vni of the mirror session that copies it */
  frame(frame: Buffer, vni: number): void
}

/** About what a bad day in a data centre looks like: most connections see something. */
export const USUAL_ADVERSITY: AdversityOptions = { reordered: 0.04, duplicated: 0.02, overlapping: 0.015 }

const USUAL_CONNECTIONS = 32
const VNIS = [7, 4_242, 0x00_bee5, 0xff_ff_fe]
const SERVER_PORTS = [80, 80, 80, 8080, 3000]
/** Of the connections opened: something else than HTTP. */
const NOISE_PERCENT = 6
const MOST_REQUESTS_PER_CONNECTION = 11
/** Bytes after which a connection near the end of the sequence space wraps. */
const WRAP_WITHIN = 600
/** No two connections have the same five-tuple: ports and low address bytes count up. */
const CLIENT_PORTS = 20_000
const FIRST_CLIENT_PORT = 32_768

/** Frames of one connection that are still to be seen. */
interface Pending {
  readonly frames: readonly Buffer[]
  readonly vni: number
  next: number
}

export class SampleTraffic {
  readonly tally: Tally = emptyTally()
  private readonly random: Random
  private readonly sink: TrafficSink
  private readonly active: Pending[] = []
  private readonly adversity: AdversityOptions
  private readonly width: number
  private requestsLeft = 0
  private opened = 0
  private datagramId = 0

  /** Nothing comes before `extend`. */
  constructor(seed: number, sink: TrafficSink, options: SampleTrafficOptions = {}) {
    this.random = new Random(seed)
    this.sink = sink
    this.adversity = options.adversity ?? USUAL_ADVERSITY
    this.width = options.connections ?? USUAL_CONNECTIONS
    this.tally.vnis = VNIS.length
  }

  /** Adds requests to those that are still to come. @param requests Infinity: without end */
  extend(requests: number): void {
    this.requestsLeft += requests
  }

  /** Emits the next frame. @returns false when there are no more */
  step(): boolean {
    while (this.active.length < this.width && this.requestsLeft > 0) this.openNext()
    if (this.active.length === 0) return false
    const i = this.random.below(this.active.length)
    const pending = this.active[i]!
    this.tally.frames++
    this.sink.frame(pending.frames[pending.next++]!, pending.vni)
    if (pending.next === pending.frames.length) {
      this.active[i] = this.active.at(-1)!
      this.active.pop()
    }
    return true
  }

  /** No further connections; those that are open continue to their end. */
  finish(): void {
    this.requestsLeft = 0
  }

  private openNext(): void {
    if (this.random.below(100) < NOISE_PERCENT) this.openNoise()
    else this.openHttp()
  }

  private openHttp(): void {
    const { random, tally } = this
    const connection = ++this.opened
    const ends = this.endpoints(connection, random.pick(SERVER_PORTS))
    const count = Math.min(this.requestsLeft, random.between(1, MOST_REQUESTS_PER_CONNECTION))
    this.requestsLeft -= count
    const http = converse(
      random,
      { connection, clientAddress: ends.clientText, serverPort: ends.server.port },
      count,
      tally,
    )

    const initial = { client: this.initialSeq(), server: this.initialSeq() }
    const tcp = new TcpConversation(initial)
    const maxSegmentBytes = random.pick([1_460, 1_460, 1_400, 536])
    for (const turn of http.turns) {
      if (random.chance(0.03)) {
        tcp.probe(turn.from)
        tally.probes++
      }
      tcp.say(turn.from, turn.bytes, chooseCut(random, maxSegmentBytes - TIMESTAMPS_LEN - ends.ipExtra, tally))
    }
    const ending = random.below(100)
    if (http.endsWithClose || ending < 55) tcp.close('server')
    else if (ending < 75) tcp.close('client')
    else if (ending < 85) tcp.reset('client')
    // The others stay open, as they do when a mirror session ends.
    tally.connections++
    if (hasWrapped(initial.client, tcp.segments, 'client')) tally.wrapped++
    for (const request of http.requests) this.sink.request(request)
    this.begin(ends, disturb(tcp.segments, this.adversity, random, tally), chooseTags(random))
  }

  private openNoise(): void {
    const { random, tally } = this
    const ends = this.endpoints(++this.opened, 443)
    const vni = random.pick(VNIS)
    const kind = random.below(3)
    if (kind === 0) {
      tally.tlsFrames += this.begin(ends, tlsSegments(random, 1_300), [])
    } else if (ends.client.address.length === 4 && kind === 1) {
      tally.arpFrames++
      this.active.push({ frames: [arpFrame(ends.client, ends.server)], vni, next: 0 })
    } else {
      tally.dnsFrames++
      this.active.push({ frames: [dnsFrame(random, ends.client, ends.server)], vni, next: 0 })
    }
  }

  /** @returns the number of frames */
  private begin(ends: Ends, segments: readonly Segment[], tags: readonly VlanTag[]): number {
    const { random, tally } = this
    const hasTimestamps = random.chance(0.5)
    const frames: Buffer[] = []
    for (const [i, segment] of segments.entries()) {
      const isFragmented = segment.payload.length > 64 && random.chance(0.015)
      const options = (segment.flags & TcpFlag.syn) !== 0 ? SYN_OPTIONS : hasTimestamps ? timestamps(i) : NO_OPTIONS
      const made = tcpFrames(ends[segment.from], ends[other(segment.from)], { ...segment, options }, segment.payload, {
        tags,
        id: ++this.datagramId,
        fragmentBytes: isFragmented ? random.between(4, 60) * 8 : null,
      })
      if (made.length > 1) {
        tally.fragments += made.length
        // Fragments overtake each other too.
        if (random.chance(0.5)) made.reverse()
      }
      frames.push(...made)
    }
    if (ends.client.address.length === 16) tally.ipv6 += frames.length
    if (tags.length > 0) tally.vlan += frames.length
    this.active.push({ frames, vni: random.pick(VNIS), next: 0 })
    return frames.length
  }

  private initialSeq(): number {
    // Some connections begin just below 2^32, so that their sequence numbers wrap.
    return this.random.chance(0.08) ? -this.random.between(1, WRAP_WITHIN) : this.random.word() | 0
  }

  private endpoints(connection: number, serverPort: number): Ends {
    const isIpv6 = this.random.chance(0.25)
    const port = FIRST_CLIENT_PORT + (connection % CLIENT_PORTS)
    const round = Math.floor(connection / CLIENT_PORTS)
    const clientNumber = [(round >> 8) & 0xff, round & 0xff, 1 + (connection % 250)]
    const serverNumber = 1 + this.random.below(12)
    const mac = (kind: number, n: number) => Buffer.from([2, 0, 0, 0, kind, n])
    const client = isIpv6
      ? ipv6Address([0xc11e, ...clientNumber.map((n) => n + 1)])
      : Buffer.from([10, ...clientNumber])
    const server = isIpv6 ? ipv6Address([0x5e7e, 1, 1, serverNumber]) : Buffer.from([172, 16, 0, serverNumber])
    return {
      client: { mac: mac(1, connection & 0xff), address: client, port },
      server: { mac: mac(2, serverNumber), address: server, port: serverPort },
      clientText: isIpv6 ? groupsOf(client) : [...client].join('.'),
      ipExtra: isIpv6 ? 20 : 0,
    }
  }
}

interface Ends {
  readonly client: Endpoint
  readonly server: Endpoint
  readonly clientText: string
  /** Bytes by which the IP header is longer than IPv4's. */
  readonly ipExtra: number
}

const NO_OPTIONS = Buffer.alloc(0)
/** Maximum segment size 1460, selective acknowledgements permitted, no operation, window scale 7 (RFC 9293, 2018, 7323). */
const SYN_OPTIONS = Buffer.from([2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7])
const TIMESTAMPS_LEN = 12

function timestamps(n: number): Buffer {
  const options = Buffer.from([1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0])
  options.writeUInt32BE(1_000 + n, 4)
  options.writeUInt32BE(1_000 + n, 8)
  return options
}

function chooseTags(random: Random): VlanTag[] {
  const share = random.below(100)
  const inner = { type: EtherType.vlan, id: random.between(1, 4_000) }
  if (share < 80) return []
  return share < 92 ? [inner] : [{ type: EtherType.serviceVlan, id: random.between(1, 4_000) }, inner]
}

/** In 2001:db8::/32, which is for examples (RFC 3849). No group is zero, so the text has one form only. */
function ipv6Address(groups: readonly number[]): Buffer {
  const address = Buffer.alloc(16)
  for (const [i, group] of [0x2001, 0xdb8, 0xa, 0xb, ...groups].entries()) address.writeUInt16BE(group, i * 2)
  return address
}

function groupsOf(address: Buffer): string {
  return Array.from({ length: 8 }, (_, i) => address.readUInt16BE(i * 2).toString(16)).join(':')
}

function hasWrapped(initial: number, segments: readonly Segment[], side: 'client' | 'server'): boolean {
  const last = segments.findLast((segment) => segment.from === side)!
  return (
    initial < 0 &&
    seqBefore(initial, seqAdd(last.seq, last.payload.length)) &&
    seqAdd(last.seq, last.payload.length) >= 0
  )
}
