/** The whole path: what adds up whatever comes in, and what is sent on when packets of known traffic are damaged. */
import { createHash } from 'node:crypto'
import type { Random } from '../../../src/demo/traffic/random.ts'
import { LinkType } from '../../../src/wire/link-type.ts'
import type { Frame } from '../corpus.ts'
import { InlinePath, type PathShape, USUAL_SHAPE } from '../inline-path.ts'
import { Choices, type Input } from '../input.ts'
import { lie, mutateBytes, mutateHttp, mutateList } from '../mutate.ts'
import { hold, type Target, Violation } from '../target.ts'
import { type KnownRequest, keyOf, keyOfView } from '../truth.ts'

const LINK_TYPES = [...Object.values(LinkType), 147]
const PAUSES_US = [0, 10, 1000, 100_000, 1_100_000, 6_000_000, 70_000_000]
/** Longer than any time-out of the path. */
const LONGEST_PAUSE = PAUSES_US.length - 1
const MOST_FRAMES = 300
const HEADER_BYTES = 4

/** Link type, pause, bytes cut off: then the frame. */
function part(frame: Frame, pause: number, cut: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header[0] = Math.max(0, LINK_TYPES.indexOf(frame.linkType as 1))
  header[1] = pause
  header.writeUInt16BE(Math.min(cut, 0xffff), 2)
  return Buffer.concat([header, frame.bytes])
}

function play(path: InlinePath, packets: Input): void {
  for (const packet of packets) {
    if (packet.length < HEADER_BYTES) continue
    const linkType = LINK_TYPES[packet[0]! % LINK_TYPES.length]!
    const pauseUs = PAUSES_US[packet[1]! % PAUSES_US.length]!
    const bytes = packet.subarray(HEADER_BYTES)
    path.frame(bytes, linkType, packet.readUInt16BE(2), pauseUs)
    if (pauseUs > 1000) path.tick(0)
  }
  path.end()
}

/** Part 0: the shape of the path; others: packets. */
export const wholePath: Target = {
  name: 'whole-path',
  fixedParts: 0,
  make(random, corpus) {
    const frames = random.pick(corpus.captures)
    const from = random.below(Math.max(1, frames.length - 20))
    const parts = frames
      .slice(from, from + random.between(1, MOST_FRAMES))
      .map((frame) => part(frame, random.chance(0.02) ? random.below(7) : 1, 0))
    const donors = random
      .pick(corpus.captures)
      .slice(0, 100)
      .map((frame) => part(frame, 1, 0))
    const list = mutateList(random, parts, donors, random.between(0, 6))
    const share = random.chance(0.5) ? 0.05 : 0.4
    const edited = list.map((packet) => {
      if (!random.chance(share)) return packet
      const frame = packet.subarray(HEADER_BYTES)
      const other = [
        () => lie(random, frame),
        () => mutateBytes(random, frame, donors[0] ?? frame),
        () => mutateHttp(random, frame, frame, 1),
      ]
      return Buffer.concat([packet.subarray(0, HEADER_BYTES), random.pick(other)()])
    })
    const settings = random.bytes(6)
    if (random.chance(0.5)) settings.fill(0)
    return [settings, ...edited]
  },
  run([settings, ...packets]) {
    const choices = new Choices(settings)
    const shape = {
      ...USUAL_SHAPE,
      verifyChecksums: choices.below(4) === 3,
      vniInKey: choices.below(4) === 3,
      overlap: choices.pick(['linux', 'first', 'last'] as const),
      maxFlows: choices.pick([1000, 1000, 3]),
      outOfOrderBytes: choices.pick([1 << 20, 1 << 20, 4096, 300]),
      maxBodyBytes: choices.pick([8 << 20, 8 << 20, 500]),
      messageBytes: choices.pick([64 << 20, 64 << 20, 3000]),
      connectionBytes: choices.pick([64 << 20, 64 << 20, 4000]),
    }
    const requests: string[] = []
    const path = new InlinePath(shape, (message, connection) =>
      requests.push(`${connection.clientAddress} ${keyOfView(message)}`),
    )
    play(path, packets)
    return { requests, counters: [...path.counters.values] }
  },
}

interface Truth {
  readonly requests: readonly KnownRequest[]
  /** Each request may be sent so often for each time it was there: more than 1 where connections were repeated as a whole. */
  readonly copies: number
  readonly shape: Partial<PathShape>
}

/** Bounds that are reached, and what is the same for traffic whose overlaps do not differ. */
const SHAPES: readonly Partial<PathShape>[] = [
  {},
  {},
  { outOfOrderBytes: 2000 },
  { outOfOrderBytes: 300, overlap: 'last' },
  { overlap: 'first', fragmentBytes: 2000 },
  { overlap: 'last', maxBodyBytes: 2000 },
  { vniInKey: true },
  { maxFlows: 2 },
  { messageBytes: 2000 },
  { connectionBytes: 4000 },
]

/**
 * Damage after which a request may be lost, and none may change: packets lost, cut short, doubled, moved, repeated, spliced, and single
 * bytes changed, which a TCP checksum always finds (RFC 1071: a change within one byte changes the sum, and changes in several fragments
 * of a segment cannot make up for each other where all go in one direction). Never a cut and a change in one packet: what is cut
 * cannot be checked.
 */
function disturb(random: Random, parts: readonly Buffer[]): Buffer[] {
  let out = [...parts]
  const lossy = random.pick([0, 0.01, 0.05, 0.2])
  const changed = random.pick([0, 0, 0.02, 0.1])
  const cut = random.pick([0, 0, 0.02, 0.1])
  const isUp = random.chance(0.5)
  out = out.flatMap((packet) => {
    const share = random.word() / 0x100000000
    if (share < lossy) return []
    if (share < lossy + changed) return [oneByteChanged(random, packet, isUp)]
    return share < lossy + changed + cut ? [cutShort(random, packet)] : [packet]
  })
  for (let i = random.below(6); i > 0 && out.length > 0; i--) {
    const at = random.below(out.length)
    switch (random.below(6)) {
      case 0:
        out.splice(at, random.between(1, 12))
        break
      case 1:
        out.splice(Math.min(out.length, at + random.between(1, 8)), 0, out[at]!)
        break
      case 2:
        out.splice(Math.min(out.length - 1, at + random.between(1, 30)), 0, ...out.splice(at, 1))
        break
      case 3:
        // A burst of them, backwards.
        out.splice(at, 0, ...out.splice(at, random.between(2, 10)).reverse())
        break
      case 4:
        out.splice(0, at >> 1)
        break
      default:
        out.splice(at + ((out.length - at) >> 1))
    }
  }
  return out
}

/** @param isUp bits are set, or else cleared */
function oneByteChanged(random: Random, packet: Buffer, isUp: boolean): Buffer {
  const out = Buffer.from(packet)
  const at = HEADER_BYTES + random.below(Math.max(1, packet.length - HEADER_BYTES))
  if (at >= out.length) return out
  // In link and tunnel headers, which no sum covers, only single bits: more could make them name another flow's packet.
  const isSingle = random.chance(0.7) || at < 140
  const bits = isSingle ? 1 << random.below(8) : random.below(256)
  out[at] = isUp ? out[at]! | bits : out[at]! & ~bits
  return out
}

/** As a snap length does it: what was on the wire is known; or as a mirror does: only the IP header knows. */
function cutShort(random: Random, packet: Buffer): Buffer {
  const bytes = packet.length - HEADER_BYTES
  const kept = random.below(bytes + 1)
  const out = Buffer.from(packet.subarray(0, HEADER_BYTES + kept))
  if (random.chance(0.5)) out.writeUInt16BE(Math.min(0xffff, bytes - kept), 2)
  return out
}

/** Some bodies of the sample traffic hold the text of a request. */
const INSIDE_A_BODY = keyOf({
  text: 'GET /not-a-request HTTP/1.1\nHost: inside.a.body',
  bodyBytes: 0,
  bodySha256: createHash('sha256').digest('hex'),
})

/** Part 0: what was really sent, as JSON; others: packets. */
export const unaltered: Target = {
  name: 'unaltered',
  fixedParts: 1,
  make(random, corpus) {
    const traffics = [random.pick(corpus.known)]
    // Two captures, one behind the other. Their connections have nothing to do with each other, and may have the same addresses and
    // overlapping sequence numbers, which no TCP keeps apart: those of the first are forgotten before.
    if (random.chance(0.2)) traffics.push(random.pick(corpus.known))
    const parts = traffics.flatMap(({ frames }, i) => {
      const disturbed = disturb(
        random,
        frames.map((frame) => part(frame, 1, 0)),
      )
      if (i > 0 && disturbed.length > 0) disturbed[0]![1] = LONGEST_PAUSE
      return disturbed
    })
    let copies = traffics.length
    if (random.chance(0.15)) {
      // All of it, or a run, once more: the same connections again.
      const from = random.chance(0.5) ? 0 : random.below(parts.length)
      parts.push(...parts.slice(from))
      copies *= 2
    }
    if (random.chance(0.1)) {
      // Long pauses: what was doubled may come when its connection is long forgotten, and is then the first of another.
      for (let i = random.between(1, 6); i > 0 && parts.length > 0; i--) {
        const at = random.below(parts.length)
        parts[at] = Buffer.from(parts[at]!)
        parts[at]![1] = random.below(PAUSES_US.length)
      }
      copies = 1000
    }
    const requests = traffics.flatMap((traffic) => traffic.requests)
    const truth: Truth = { requests, copies, shape: random.pick(SHAPES) }
    return [Buffer.from(JSON.stringify(truth)), ...parts]
  },
  run([truth, ...packets]) {
    const { requests, copies, shape } = JSON.parse(truth?.toString() || '{"requests":[],"copies":1}') as Truth
    const left = new Map<string, number>()
    for (const request of requests) left.set(keyOf(request), (left.get(keyOf(request)) ?? 0) + request.times * copies)
    let sent = 0
    let asDocumented = 0
    const path = new InlinePath({ ...USUAL_SHAPE, ...shape, verifyChecksums: true }, (message) => {
      const key = keyOfView(message)
      // Where the bytes in front of it are gone: docs/replay.md, "What remains uncertain".
      if (key === INSIDE_A_BODY && path.isDamaged) {
        asDocumented++
        return
      }
      const times = left.get(key)
      if (times === undefined) throw new Violation(`altered or invented: ${key.slice(0, 600)}`)
      hold(times > 0, () => `sent once more than it was there: ${key.slice(0, 300)}`)
      left.set(key, times - 1)
      sent++
    })
    play(path, packets)
    return { sent, asDocumented, counters: [...path.counters.values] }
  },
}
