/** A connection that is captured twice, with different numbers, is read once; another connection on the same five-tuple is read. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ACK, FIN, Rig, SYN } from './rig.ts'

interface Packet {
  readonly isServer: boolean
  readonly flags: number
  /** From the SYN, which is 0. */
  readonly seq: number
  readonly ack: number
  readonly data: string
}

/** Handshake, exchanges, FINs. */
function conversation(exchanges: readonly (readonly [string, string])[], isClosed = true): Packet[] {
  let client = 1
  let server = 1
  const packets: Packet[] = []
  const send = (isServer: boolean, data = '', flags: number = ACK) => {
    packets.push({ isServer, flags, seq: isServer ? server : client, ack: isServer ? client : server, data })
    const taken = data.length + ((flags & FIN) !== 0 ? 1 : 0)
    if (isServer) server += taken
    else client += taken
  }
  packets.push({ isServer: false, flags: SYN, seq: 0, ack: 0, data: '' })
  packets.push({ isServer: true, flags: SYN | ACK, seq: 0, ack: 1, data: '' })
  send(false)
  for (const [request, response] of exchanges) {
    for (let at = 0; at < request.length; at += 100) send(false, request.slice(at, at + 100))
    send(true)
    for (let at = 0; at < response.length; at += 100) send(true, response.slice(at, at + 100))
    send(false)
  }
  if (!isClosed) return packets
  send(false, '', FIN | ACK)
  send(true, '', FIN | ACK)
  send(false)
  return packets
}

function give(rig: Rig, packet: Packet, clientIsn: number, serverIsn: number): void {
  const { isServer, flags, data } = packet
  const seq = (packet.seq + (isServer ? serverIsn : clientIsn)) | 0
  const ack = (flags & ACK) === 0 ? 0 : (packet.ack + (isServer ? clientIsn : serverIsn)) | 0
  if (isServer) rig.server({ seq, ack, flags, data })
  else rig.client({ seq, ack, flags, data })
}

/** The packets of several copies in the order of their times, microseconds. */
function play(rig: Rig, packets: readonly { at: number; give: () => void }[]): void {
  const start = rig.nowUs
  for (const packet of packets.toSorted((a, b) => a.at - b.at)) {
    rig.nowUs = start + packet.at
    packet.give()
  }
}

const GAP_US = 1000

/** Every packet twice: as the client's side has it, and with other numbers as the other side's mirror brings it. */
function playTwice(
  rig: Rig,
  packets: readonly Packet[],
  isn: number,
  shifts: { client: number; server: number },
  late: { mirror: number; way: number },
): void {
  play(
    rig,
    packets.flatMap((packet, i) => [
      { at: i * GAP_US, give: () => give(rig, packet, isn, isn + 77) },
      {
        at: i * GAP_US + late.mirror + (packet.isServer ? -late.way : late.way),
        give: () => give(rig, packet, isn + shifts.client, isn + 77 + shifts.server),
      },
    ]),
  )
}

const exchanges = fc.array(
  fc
    .tuple(fc.integer({ min: 1, max: 350 }), fc.integer({ min: 1, max: 950 }))
    .map(([request, response]) => ['q'.repeat(request), 'a'.repeat(response)] as const),
  { minLength: 2, maxLength: 6 },
)
const shift = fc.oneof(fc.integer({ min: 100_000, max: 1 << 30 }), fc.integer({ min: -(1 << 30), max: -100_000 }))

describe('a connection captured on both sides of a firewall that changes its numbers', () => {
  test('is read once and whole, however much later the second copy comes, while the first is open', () => {
    fc.assert(
      fc.property(
        exchanges,
        fc.record({ client: fc.oneof(shift, fc.constant(0)), server: shift }),
        fc.integer({ min: 0, max: 1 << 30 }),
        // The mirror of the other side is later as a whole, and packets of the server pass that side first.
        fc.record({ mirror: fc.integer({ min: 0, max: 9000 }), way: fc.integer({ min: 10, max: 490 }) }),
        (parts, shifts, isn, late) => {
          const own = parts.map(([q, a], i) => [`${i}${q}`, `${i}${a}`] as const)
          const rig = new Rig()
          const packets = conversation(own)
          playTwice(rig, packets, isn, shifts, late)
          rig.closeAll()
          expect(rig.streams.map((stream) => [stream.text(0), stream.text(1)])).toEqual([
            [own.map(([q]) => q).join(''), own.map(([, a]) => a).join('')],
          ])
        },
      ),
      { numRuns: 300 },
    )
  })

  test('is read once where the capture begins behind the handshake of both', () => {
    fc.assert(
      fc.property(
        exchanges,
        fc.record({ client: shift, server: shift }),
        fc.integer({ min: 0, max: 1 << 30 }),
        fc.record({ mirror: fc.integer({ min: 0, max: 2000 }), way: fc.integer({ min: 10, max: 490 }) }),
        (parts, shifts, isn, late) => {
          const own = parts.map(([q, a], i) => [`request ${i} ${q}`, `response ${i} ${a}`] as const)
          const rig = new Rig()
          const packets = conversation(own, false).slice(3)
          playTwice(rig, packets, isn, shifts, late)
          rig.closeAll()
          expect(rig.streams.map((stream) => stream.text(0))).toEqual([own.map(([q]) => q).join('')])
        },
      ),
      { numRuns: 200 },
    )
  })

  test('another connection with other data is read, also when the end of the first was not captured', () => {
    for (const isn of [100, 100_000, 900_000_000]) {
      const rig = new Rig()
      for (const packet of conversation([['one', 'answer']], false)) give(rig, packet, 100, 900)
      rig.pass(5000)
      for (const packet of conversation([['two', 'answer']])) give(rig, packet, isn, 700_000_000)
      rig.closeAll()
      expect(rig.streams.map((stream) => stream.text(0))).toEqual(['one', 'two'])
    }
  })

  test('another one with the same data is read where it opens later than the mirror can be', () => {
    const rig = new Rig()
    for (const packet of conversation([['same', 'answer']], false)) give(rig, packet, 100, 900)
    rig.pass(1_500_000)
    for (const packet of conversation([['same', 'answer']])) give(rig, packet, 900_000_000, 700_000_000)
    rig.closeAll()
    expect(rig.streams.map((stream) => stream.text(0))).toEqual(['same', 'same'])
  })

  test('what seemed a copy is read on where the first goes no further', () => {
    const rig = new Rig()
    for (const packet of conversation([['same', 'answer']], false)) give(rig, packet, 100, 900)
    rig.pass(5000)
    const other = conversation([
      ['same', 'answer'],
      ['second', 'answer'],
      ['third', 'answer'],
      ['fourth', 'answer'],
    ])
    for (const packet of other) {
      rig.pass(400_000)
      give(rig, packet, 900_000_000, 700_000_000)
    }
    rig.closeAll()
    expect(rig.streams.map((stream) => stream.text(0)).join()).toMatch(/same,.*fourth/)
  })
})

describe('a new connection with the client’s number of the one that is open', () => {
  test.each([
    ['nothing was sent', []],
    ['a request was not answered', ['q']],
    ['a request was answered', ['q', 'a']],
  ] as const)('is read where the server’s number is another: %s before', (_what, sent) => {
    const rig = new Rig()
    rig.handshake(100, 900)
    if (sent.length > 0) rig.client({ seq: 101, ack: 901, data: '/one' })
    if (sent.length > 1) rig.server({ seq: 901, ack: 105, data: 'answer' })
    rig.pass(5000)
    rig.handshake(100, 800_000_000)
    rig.client({ seq: 101, ack: 800_000_001, data: '/two' })
    rig.server({ seq: 800_000_001, ack: 105, data: 'answer' })
    rig.closeAll()
    expect(rig.streams.map((stream) => stream.text(0)).join()).toBe(sent.length > 0 ? '/one,/two' : '/two')
  })
})
