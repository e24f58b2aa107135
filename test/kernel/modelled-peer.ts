/** A receiver played by the model: answers a client's packets as Linux's TCP and an HTTP server on it would. */
import { seqAdd } from '../../src/wire/seq.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { ParserJsConnection } from '../differential/readers/parser-js.ts'
import { LinuxReceiver, type ModelledStream } from './linux-acceptance.ts'
import { hasRightChecksums } from './modelled.ts'
import {
  type Endpoint,
  findOption,
  Option,
  option,
  readSegment,
  type Seen,
  type SegmentFields,
  segment,
  timestamps,
} from './segment.ts'

export interface PeerSettings {
  readonly coalescing: boolean
  readonly predictsHeaders: boolean
  readonly answers: boolean
  /** Segments taken for each acknowledgement. */
  readonly acksEach: number
}

const { syn, fin, rst, ack, psh } = TcpFlag
const ISS = 0x1234_5678
const MSS = 1460
const WINDOW_SCALE = 7
/** 64 KiB less a bit, once scaled and once not. */
const WINDOW = 0xff00
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')

export class ModelledPeer {
  readonly client: Endpoint
  readonly server: Endpoint
  private readonly settings: PeerSettings
  private readonly receiver: LinuxReceiver
  private seq = ISS
  private clock = 1_000_000
  private tsRecent = 0
  private hasTimestamps = false
  private scale = 0
  private unacknowledged = 0
  private opened = 0
  private reading: { stream: ModelledStream; http: ParserJsConnection; chunks: number; answered: number } | null = null

  constructor(client: Endpoint, server: Endpoint, settings: PeerSettings) {
    this.client = client
    this.server = server
    this.settings = settings
    this.receiver = new LinuxReceiver({
      coalescing: settings.coalescing ? 'always' : 'never',
      predictsHeader: () => settings.predictsHeaders,
      checksEcho: false,
    })
  }

  get hasHole(): boolean {
    return this.receiver.hasHole
  }

  /** Number of the next byte that it sends. */
  get next(): number {
    return this.seq
  }

  get streams(): readonly ModelledStream[] {
    return this.receiver.streams
  }

  /** A packet on its way to it. @returns what it sends then */
  take(packet: Buffer): Buffer[] {
    const seen = readSegment(packet)
    if (seen === null || !hasRightChecksums(packet)) return []
    const { isEstablished, isHandshaking, isWaiting } = this.receiver
    const verdict = this.receiver.segment(seen)
    const out: Buffer[] = []
    const isUnknown = !isEstablished && !isHandshaking && !isWaiting && (seen.flags & ack) !== 0
    if ((isUnknown || (isHandshaking && verdict === 'reset')) && (seen.flags & rst) === 0) return [this.reset(seen)]
    if (this.receiver.isHandshaking) {
      if (verdict === 'accepted' && (seen.flags & syn) !== 0) out.push(this.synAck(seen))
      else if (verdict === 'challenge') out.push(this.plain())
      return out
    }
    if (!this.receiver.isEstablished) return out
    const time = findOption(seen, Option.timestamps)
    if (verdict === 'accepted' && time !== null) this.tsRecent = time.readInt32BE(0)
    const isDue = seen.data.length > 0 && ++this.unacknowledged >= this.settings.acksEach
    if (verdict === 'challenge' || isDue) out.push(this.plain())
    if (this.settings.answers) out.push(...this.answers())
    return out
  }

  private synAck(seen: Seen): Buffer {
    this.opened++
    this.seq = (ISS + this.opened * 100_000) | 0
    const time = findOption(seen, Option.timestamps)
    this.hasTimestamps = time !== null
    this.tsRecent = time === null ? 0 : time.readInt32BE(0)
    const isScaled = findOption(seen, Option.windowScale) !== null
    this.scale = isScaled ? WINDOW_SCALE : 0
    const options = [option(Option.mss, Buffer.from([MSS >> 8, MSS & 255]))]
    if (findOption(seen, Option.sackPermitted) !== null) options.push(option(Option.sackPermitted, Buffer.alloc(0)))
    if (isScaled) options.push(option(Option.windowScale, Buffer.from([WINDOW_SCALE])))
    const packet = this.send({ flags: syn | ack, window: WINDOW, options: Buffer.concat(options) })
    this.seq = seqAdd(this.seq, 1)
    return packet
  }

  /** There is no such connection, or no more (RFC 9293 section 3.10.7.1). */
  private reset(seen: Seen): Buffer {
    const { flags, seq, data } = seen
    const length = data.length + ((flags & syn) !== 0 ? 1 : 0) + ((flags & fin) !== 0 ? 1 : 0)
    const fields =
      (flags & ack) !== 0
        ? { flags: rst, seq: seen.ack, ack: 0 }
        : { flags: rst | ack, seq: 0, ack: seqAdd(seq, length) }
    return segment(this.server, this.client, { ...fields, window: 0 })
  }

  private plain(): Buffer {
    this.unacknowledged = 0
    return this.send({ flags: ack })
  }

  private answers(): Buffer[] {
    const stream = this.receiver.streams.at(-1)
    if (stream === undefined) return []
    if (this.reading?.stream !== stream)
      this.reading = { stream, http: new ParserJsConnection(), chunks: 0, answered: 0 }
    const { reading } = this
    for (; reading.chunks < stream.chunks.length; reading.chunks++) reading.http.take(stream.chunks[reading.chunks]!)
    const out: Buffer[] = []
    for (; reading.answered < reading.http.requests.length; reading.answered++) {
      const isHead = reading.http.requests[reading.answered]!.method === 'HEAD'
      const data = isHead ? ANSWER.subarray(0, -2) : ANSWER
      out.push(this.send({ flags: ack | psh, data }))
      this.seq = seqAdd(this.seq, data.length)
    }
    return out
  }

  private send(f: SegmentFields): Buffer {
    const options = [f.options ?? Buffer.alloc(0)]
    if (this.hasTimestamps) options.push(timestamps(this.clock++, this.tsRecent))
    const packet = segment(this.server, this.client, {
      seq: this.seq,
      ack: this.receiver.rcvNxt,
      window: WINDOW >> this.scale,
      ...f,
      options: Buffer.concat(options),
    })
    this.receiver.sent(readSegment(packet)!)
    return packet
  }
}
