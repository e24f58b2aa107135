/**
 * A client's segments, forged and odd ones among them, in the order in which they reach a receiver: what is sent on must be among what a
 * model of Linux's TCP lets its server read. `npm run test:kernel` holds the model against the kernel.
 */
import { createHash } from 'node:crypto'
import type { Random } from '../../../src/demo/traffic/random.ts'
import { LinkType } from '../../../src/wire/link-type.ts'
import { seqAdd, seqDistance } from '../../../src/wire/seq.ts'
import { TcpFlag } from '../../../src/wire/tcp.ts'
import { ParserJsConnection } from '../../differential/readers/parser-js.ts'
import { makeConversation } from '../../kernel/conversation.ts'
import { changed } from '../../kernel/field-changes.ts'
import { FORGERIES, FORGERY_KINDS } from '../../kernel/forgeries.ts'
import { HandClient } from '../../kernel/hand-client.ts'
import { isInBytes } from '../../kernel/in-bytes.ts'
import type { ModelledStream } from '../../kernel/linux-acceptance.ts'
import { ModelledPeer } from '../../kernel/modelled-peer.ts'
import { notAmong } from '../../kernel/our-reading.ts'
import { readSegment } from '../../kernel/segment.ts'
import { InlinePath, USUAL_SHAPE } from '../inline-path.ts'
import { Choices } from '../input.ts'
import { hold, type Target } from '../target.ts'
import { keyOf, keyOfView } from '../truth.ts'

const CLIENT = { address: '10.0.0.1', port: 40_000 }
const SERVER = { address: '10.128.0.1', port: 80 }
const SETTINGS_BYTES = 4
const MOST_FORGED = 5
const IP_BYTES = 20
/** As forgeries.ts has it. */
const LEAST_FORGED_AHEAD = 3000
const TIME_BETWEEN_US = 500

function newPeer(settings: Buffer | undefined): ModelledPeer {
  const choices = new Choices(settings)
  return new ModelledPeer(CLIENT, SERVER, {
    coalescing: choices.below(2) === 0,
    predictsHeaders: choices.below(2) === 0,
    answers: choices.below(3) !== 2,
    acksEach: choices.pick([1, 1, 2, 5]),
  })
}

/** Part 0: how the receiver is. Part 1: the SYN, without which it takes nothing. The others: the client's packets. */
export const receiver: Target = {
  name: 'receiver',
  fixedParts: 2,
  make(random) {
    const settings = random.chance(0.4) ? Buffer.alloc(SETTINGS_BYTES) : random.bytes(SETTINGS_BYTES)
    const { packets, again } = converse(random, newPeer(settings))
    const share = random.pick([0, 0, 0.03, 0.1])
    const mutated = moved(random, packets).map((packet) => (random.chance(share) ? changed(random, packet) : packet))
    // What the receiver did not take a client sends again, or the stream would end in a hole that nobody ever fills.
    return [settings, ...mutated, ...again]
  },
  run([settings, ...packets]) {
    const begin = packets[0] === undefined || !isFromClient(packets[0]) ? null : readSegment(packets[0])
    if (begin === null || begin.flags !== TcpFlag.syn) return null
    const peer = newPeer(settings)
    const ours: string[] = []
    const path = new InlinePath({ ...USUAL_SHAPE, verifyChecksums: true }, (message) => ours.push(keyOfView(message)))
    for (const packet of packets.filter(isFromClient)) {
      if (isBeforeItsCause(packet, peer)) continue
      path.frame(packet, LinkType.raw, 0, TIME_BETWEEN_US)
      for (const answer of peer.take(packet)) path.frame(answer, LinkType.raw, 0, TIME_BETWEEN_US)
    }
    path.end()
    // Where it ends in a hole, what stands behind it was received and will be read: it is not wrong to send it on.
    if (peer.hasHole) return null
    // Whether urgent bytes are in the stream is the server's choice (SO_OOBINLINE): in neither case is more sent than was read.
    for (const withUrgent of [true, false]) {
      const streams = peer.streams.map((stream) => bytesRead(stream, withUrgent))
      const theirs = streams.flatMap(requestsIn)
      // Behind what its parser refuses the server reads on as TCP does, and HTTP no more: see isInBytes.
      const wrong = notAmong(ours, theirs).filter((request) => !streams.some((bytes) => isInBytes(bytes, request)))
      hold(wrong.length === 0, () => `not among the ${theirs.length} requests that the receiver read:\n${wrong[0]}`)
    }
    return { ours, counters: [...path.counters.values] }
  },
}

function isFromClient(packet: Buffer): boolean {
  const seen = packet.length >= IP_BYTES + 20 ? readSegment(packet) : null
  if (seen === null || (packet[0]! & 15) !== 5) return false
  // What is cut short cannot be checked, and was whole where the receiver is.
  if (packet.readUInt16BE(2) !== packet.length) return false
  const { from, to } = seen
  return (
    from.address === CLIENT.address &&
    from.port === CLIENT.port &&
    to.address === SERVER.address &&
    to.port === SERVER.port
  )
}

/**
 * It acknowledges bytes just before they are sent. That was honest where it stood, and nobody sends it here: to a mirror it looks like what
 * overtook its cause, which it takes. Forged acknowledgements lie further ahead.
 */
function isBeforeItsCause(packet: Buffer, peer: ModelledPeer): boolean {
  const { flags, ack } = readSegment(packet)!
  const ahead = seqDistance(peer.next, ack)
  return (flags & TcpFlag.ack) !== 0 && ahead > 0 && ahead < LEAST_FORGED_AHEAD
}

/** A conversation with what is injected into it, as the scenarios against the kernel have it, but never waiting. */
function converse(random: Random, peer: ModelledPeer): { packets: Buffer[]; again: Buffer[] } {
  let packets: Buffer[] = []
  const conversation = makeConversation(random, random.between(2, 5))
  const kinds = Array.from({ length: random.between(0, 3) }, () => random.pick(FORGERY_KINDS))
  const client = new HandClient(
    CLIENT,
    SERVER,
    {
      hasTimestamps: random.chance(0.7),
      hasSack: random.chance(0.7),
      windowScale: random.chance(0.7) ? random.pick([0, 7]) : null,
      mss: random.pick([536, 1460]),
    },
    random.word() | 0,
    random.word() | 0,
    (packet) => {
      packets.push(packet)
      for (const answer of peer.take(packet)) client.receive(readSegment(answer)!)
    },
  )
  const context = { random, client, conversation, setReading: () => {}, settle: async () => {} }
  let forged = 0
  const inject = (): void => {
    if (kinds.length === 0 || forged >= MOST_FORGED || !random.chance(0.25)) return
    forged++
    // What waits for the receiver's application goes no further than its first wait.
    void FORGERIES[random.pick(kinds)]!(context)
  }
  client.syn()
  client.send()
  for (let at = 0; at < conversation.honest.length; at = Math.max(at, client.next)) {
    inject()
    const data = conversation.honest.subarray(at, at + random.pick([20, 200, client.options.mss]))
    client.send({ at, data })
    at += data.length
    client.next = Math.max(client.next, at)
    inject()
  }
  const sent = packets
  packets = []
  // Acknowledges as little as it may: what the receiver has sent by then depends on what becomes of the packets before.
  for (let at = 0; at < conversation.honest.length; at += client.options.mss)
    client.send({ at, data: conversation.honest.subarray(at, at + client.options.mss), ack: seqAdd(client.irs, 1) })
  if (random.chance(0.6)) client.send({ flags: random.pick([TcpFlag.fin | TcpFlag.ack, TcpFlag.rst]) })
  return { packets: sent, again: packets }
}

/** Lost on the way, doubled, overtaken: the receiver sees it so. */
function moved(random: Random, packets: readonly Buffer[]): Buffer[] {
  const out = [...packets]
  for (let i = random.pick([0, 0, 1, 3]); i > 0 && out.length > 2; i--) {
    const at = random.between(1, out.length - 1)
    const [packet] = out.splice(at, 1)
    const to = Math.min(out.length, at + random.between(0, 4))
    const copies = random.pick([0, 1, 1, 2])
    for (let n = 0; n < copies; n++) out.splice(to, 0, packet!)
  }
  return out
}

function bytesRead({ chunks, urgent }: ModelledStream, withUrgent: boolean): Buffer {
  const whole = Buffer.concat(chunks)
  return withUrgent ? whole : Buffer.from(whole.filter((_byte, offset) => !urgent.has(offset)))
}

function requestsIn(bytes: Buffer): string[] {
  const http = new ParserJsConnection()
  http.take(bytes)
  return http.requests.map(({ method, target, headers, body }) =>
    keyOf({
      text: `${method} ${target} HTTP/1.1\n${(headers ?? []).map(([name, value]) => `${name}: ${value}`).join('\n')}`,
      bodyBytes: body.length,
      bodySha256: createHash('sha256').update(body).digest('hex'),
    }),
  )
}
