/** One scenario: a conversation with the kernel's TCP, made of a seed, and everything that crossed the wire in it. */
import { setImmediate as turn } from 'node:timers/promises'
import { Random } from '../../src/demo/traffic/random.ts'
import type { Libc } from '../../src/sources/live/libc.ts'
import { seqDistance } from '../../src/wire/seq.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { type Conversation, makeConversation } from './conversation.ts'
import { FORGERIES, FORGERY_KINDS } from './forgeries.ts'
import { HandClient } from './hand-client.ts'
import { OPENING_KINDS, OPENINGS } from './openings.ts'
import { Receiver } from './receiver.ts'
import { type Endpoint, readSegment, type Seen } from './segment.ts'
import type { Tun } from './tun.ts'

export const HONEST = 'honest'
const MIXED = 'mixed'

/** Subjects in which the client never says anything but its one stream. */
export const WITHOUT_FORGED_BYTES: ReadonlySet<string> = new Set([
  HONEST,
  'retransmission with other boundaries',
  'half-open, then again',
  'refused, then accepted',
  'port reuse after FIN',
  'port reuse after RST',
  'simultaneous open',
  'MPTCP: one subflow',
])

/** What scenarios are about, in turn. */
export const SUBJECTS: readonly string[] = [
  HONEST,
  ...FORGERY_KINDS,
  HONEST,
  ...OPENING_KINDS,
  HONEST,
  ...Array.from({ length: 6 }, () => MIXED),
  HONEST,
]

export interface Captured {
  readonly bytes: Buffer
  /** Since the packet before. */
  readonly laterUs: number
  readonly isFromServer: boolean
}

export interface Injected {
  readonly kind: string
  /** Whether the receiver's state changed by it; null where there was none to look at. */
  readonly wasTaken: boolean | null
}

export interface ReceivedConnection {
  readonly bytes: Buffer
  readonly requests: readonly string[]
  readonly end: 'none' | 'fin' | 'reset'
  readonly from: Endpoint
}

export interface Scenario {
  readonly seed: number
  readonly index: number
  readonly subject: string
  readonly client: Endpoint
  readonly server: Endpoint
  readonly isOobInline: boolean
  readonly capture: readonly Captured[]
  readonly injected: readonly Injected[]
  readonly connections: readonly ReceivedConnection[]
}

/** Packets of all scenarios under way, to and from the one wire. */
export class Wire {
  private readonly tun: Tun
  private readonly byClient = new Map<string, ScenarioRun>()

  constructor(tun: Tun) {
    this.tun = tun
  }

  add(run: ScenarioRun): void {
    this.byClient.set(run.address, run)
  }

  delete(run: ScenarioRun): void {
    this.byClient.delete(run.address)
  }

  /** What the kernel sent before comes before it in the capture, and its answer behind it. */
  write(run: ScenarioRun, packet: Buffer): void {
    this.drain()
    run.captured(packet, false)
    this.tun.write(packet)
    this.drain()
  }

  drain(): void {
    for (let packet = this.tun.read(); packet !== null; packet = this.tun.read()) {
      const seen = readSegment(packet)
      if (seen === null) continue
      this.byClient.get(seen.to.address)?.received(packet, seen)
    }
  }
}

/** Quiet turns of the event loop after which nothing more is expected. */
const QUIET_TURNS = 6
const MOST_TURNS = 200
const MOST_INJECTIONS = 4

export class ScenarioRun {
  readonly random: Random
  readonly address: string
  readonly server: Endpoint
  readonly receiver: Receiver
  readonly subject: string
  readonly injected: Injected[] = []
  /** Apart: how many packets there are is the kernel's, and what is drawn must not depend on it. */
  private readonly times: Random
  private readonly wire: Wire
  private readonly seed: number
  private readonly index: number
  private readonly capture: Captured[] = []
  private readonly clients: HandClient[] = []
  private readonly isOobInline: boolean
  private packets = 0
  private laterUs = 0
  private port: number

  constructor(wire: Wire, libc: Libc, seed: number, index: number) {
    const random = new Random((Math.imul(seed, 0x9e3779b1) + index) | 0)
    this.random = random
    this.times = new Random(random.word())
    this.wire = wire
    this.seed = seed
    this.index = index
    this.subject = SUBJECTS[index % SUBJECTS.length]!
    const host = index + 1
    this.address = `10.${(host >> 16) & 63}.${(host >> 8) & 255}.${host & 255}`
    this.server = {
      address: `10.${128 + ((host >> 16) & 63)}.${(host >> 8) & 255}.${host & 255}`,
      port: random.pick([80, 80, 8080, 3000]),
    }
    this.port = random.between(32_768, 60_999)
    this.isOobInline = random.chance(0.4)
    this.receiver = new Receiver(libc, this.server, {
      isOobInline: this.isOobInline,
      isMptcp: this.subject.startsWith('MPTCP: '),
      receiveBuffer: this.subject === 'zero-window probe' ? 8192 : 0,
    })
  }

  async run(): Promise<Scenario> {
    this.wire.add(this)
    try {
      await this.play()
      this.receiver.setReading(true)
      await this.settle()
    } finally {
      this.wire.drain()
      this.wire.delete(this)
    }
    const { seed, index, subject, server, isOobInline, capture, injected } = this
    const connections = this.receiver.connections.map(({ chunks, requests, end, from }) => ({
      bytes: Buffer.concat(chunks),
      requests: [...requests],
      end,
      from,
    }))
    this.receiver.close()
    const client = { address: this.address, port: this.port }
    return { seed, index, subject, client, server, isOobInline, capture, injected, connections }
  }

  captured(bytes: Buffer, isFromServer: boolean): void {
    this.packets++
    this.capture.push({ bytes, isFromServer, laterUs: this.laterUs + this.times.between(10, 400) })
    this.laterUs = 0
  }

  received(packet: Buffer, seen: Seen): void {
    this.captured(packet, true)
    this.clients.findLast((client) => client.local.port === seen.to.port)?.receive(seen)
  }

  /** A client of this scenario; a later one of the same port takes its packets over. */
  newClient(port = this.port, iss = this.random.word() | 0): HandClient {
    const { random } = this
    const client = new HandClient(
      { address: this.address, port },
      this.server,
      {
        hasTimestamps: random.chance(0.7),
        hasSack: random.chance(0.7),
        windowScale: random.chance(0.7) ? random.pick([0, 2, 7, 14]) : null,
        mss: random.pick([0, 536, 1200, 1460]),
      },
      iss,
      random.word() | 0,
      (bytes) => this.wire.write(this, bytes),
    )
    this.clients.push(client)
    return client
  }

  /** In the capture only: the kernel's clock does not know of it. */
  pause(us: number): void {
    this.laterUs += us
  }

  async settle(): Promise<void> {
    let quiet = 0
    for (let i = 0; i < MOST_TURNS && quiet < QUIET_TURNS; i++) {
      const before = this.packets
      await turn()
      this.wire.drain()
      quiet = this.packets === before ? quiet + 1 : 0
    }
  }

  /** SYN, SYN+ACK, ACK. */
  async handshake(client: HandClient): Promise<void> {
    client.syn()
    if (!client.isOpen) await this.settle()
    if (!client.isOpen) return
    // Some clients acknowledge with the first data only.
    if (this.random.chance(0.85)) client.send()
    await this.settle()
  }

  /** What the client says, honest, with what is injected among it. */
  async converse(client: HandClient, conversation: Conversation, kinds: readonly string[]): Promise<void> {
    const { random } = this
    const { honest, ends } = conversation
    let injections = 0
    const inject = async (share: number): Promise<void> => {
      if (kinds.length === 0 || injections >= MOST_INJECTIONS || !random.chance(share)) return
      injections++
      await this.inject(client, conversation, random.pick(kinds))
    }
    for (let request = 0; request < ends.length; ) {
      request = Math.min(ends.length, request + random.pick([1, 1, 2, 3]))
      const end = ends[request - 1]!
      if (client.next >= end) continue
      await inject(0.3)
      // Before the last burst at the latest.
      if (request === ends.length && injections === 0) await inject(1)
      for (const [from, to] of this.pieces(client.next, end, client.options.mss || 536)) {
        client.send({ at: from, data: honest.subarray(from, to) })
        if (from <= client.next) client.next = Math.max(client.next, to)
        await inject(0.12)
      }
      client.next = Math.max(client.next, end)
      await inject(0.2)
      if (random.chance(0.85)) await this.settle()
      if (random.chance(0.15)) {
        const at = random.below(client.next)
        client.send({ at, data: honest.subarray(at, Math.min(client.next, at + random.between(1, 1400))) })
      }
      if (client.owesAck && random.chance(0.8)) client.send()
    }
    await this.settle()
    // What is not acknowledged is sent again, as every client does.
    const acknowledged = seqDistance(client.seqOf(0), client.peerAck)
    if (acknowledged >= 0 && acknowledged < client.next && !client.isReset) {
      const mss = client.options.mss || 536
      for (let at = acknowledged; at < client.next; at += mss)
        client.send({ at, data: honest.subarray(at, Math.min(client.next, at + mss)) })
      await this.settle()
    }
    if (client.owesAck) client.send()
  }

  async close(client: HandClient, how = this.random.pick(['fin', 'fin', 'fin', 'rst', 'open'])): Promise<void> {
    if (how === 'rst') client.send({ flags: this.random.pick([TcpFlag.rst, TcpFlag.rst | TcpFlag.ack]) })
    if (how === 'fin') {
      client.send({ flags: TcpFlag.fin | TcpFlag.ack })
      client.next++
      await this.settle()
      if (client.finSeen) client.send()
      client.next--
    }
    await this.settle()
  }

  conversation(most = 6): Conversation {
    return makeConversation(this.random, this.random.between(2, most))
  }

  private async play(): Promise<void> {
    const { random, subject } = this
    const opening = OPENINGS[subject]
    if (opening !== undefined) {
      await opening(this)
      return
    }
    await this.receiver.listen()
    const kinds =
      subject === MIXED ? Array.from({ length: random.between(2, 3) }, () => random.pick(FORGERY_KINDS)) : [subject]
    const client = this.newClient()
    await this.handshake(client)
    await this.converse(client, this.conversation(), subject === HONEST ? [] : kinds)
    await this.close(client)
  }

  private async inject(client: HandClient, conversation: Conversation, kind: string): Promise<void> {
    const before = this.receiver.info()
    await FORGERIES[kind]!({
      random: this.random,
      client,
      conversation,
      setReading: (isReading) => this.receiver.setReading(isReading),
      settle: () => this.settle(),
    })
    const after = this.receiver.info()
    const wasTaken =
      before === null
        ? null
        : after === null ||
          after.state !== before.state ||
          after.bytesReceived !== before.bytesReceived ||
          after.outOfOrder !== before.outOfOrder
    this.injected.push({ kind, wasTaken })
    if (this.random.chance(0.3)) await this.settle()
  }

  /** Cuts a range into segments, some of them out of order or twice. */
  private pieces(from: number, to: number, mss: number): [number, number][] {
    const { random } = this
    const list: [number, number][] = []
    for (let at = from; at < to; ) {
      const end = Math.min(to, at + (random.chance(0.5) ? mss : random.between(1, Math.min(mss, 200))))
      list.push([at, end])
      at = end
    }
    if (random.chance(0.25) && list.length > 1) {
      const i = random.below(list.length - 1)
      const [moved] = list.splice(i, 1)
      list.splice(Math.min(list.length, i + random.between(1, 3)), 0, moved!)
    }
    if (list.length > 0 && random.chance(0.1)) list.push(random.pick(list))
    return list
  }
}
