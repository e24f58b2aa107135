/** Bytes that nobody should send: each layer malformed on purpose, random bytes, real traffic with bytes changed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../bench/support/free-port.ts'
import { Random } from '../../src/demo/traffic/random.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import * as packets from '../support/packets.ts'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { difference, sum } from './support/identity.ts'
import { connectionOf, Load, Mirror, nextClient, segmentOf, vxlanOf } from './support/mirror.ts'
import { Origin } from './support/origin.ts'
import { closeAfterEach, openProgram } from './support/program.ts'

const SEED = 20_261_124
let origin: Origin
let round = 0
beforeAll(async () => {
  origin = await Origin.listen()
})
afterAll(() => origin.close())
closeAfterEach()

/** Sends `hostile` while ordinary traffic goes on, all of which must arrive. */
async function besides(hostile: (mirror: Mirror, geneve: Mirror) => Promise<void>, args: readonly string[] = []) {
  const genevePort = await freePort()
  const program = await openProgram({ to: origin.url, args: ['--listen', `geneve:127.0.0.1:${genevePort}`, ...args] })
  const mirror = await Mirror.open(program.port)
  const geneve = await Mirror.open(genevePort)
  const path = `/${++round}`
  const usual = new Load(mirror, (n) => [{ method: 'GET', target: `${path}/usual/${n}` }])
  await usual.runFor(200, 100)
  await program.settled()
  const before = await program.ledger()
  const stateBefore = program.state()
  usual.start(100)
  await hostile(mirror, geneve)
  usual.stop()
  const after = await settledButHeld(program)
  await until('all ordinary requests arrive', () =>
    [...usual.sentAt.keys()].every((target) => origin.arrivedAt.has(target)),
  )
  const packetDrops = difference(after.packetDrops, before.packetDrops)
  const requestDrops = difference(after.requestDrops, before.requestDrops)
  tellFigures({
    datagrams: mirror.datagrams + geneve.datagrams,
    'packets dropped': packetDrops,
    'requests dropped': requestDrops,
    'ordinary requests': `${[...usual.sentAt.keys()].filter((t) => origin.arrivedAt.has(t)).length} of ${usual.sentAt.size}`,
    'kernel drops': after.kernelDrops,
    'RSS MB': `${stateBefore.rssMb} → ${program.state().rssMb}`,
  })
  expect(program.said.filter((line) => /died|error/i.test(line))).toEqual([])
  expect(after.received + after.kernelDrops).toBe(mirror.datagrams + geneve.datagrams)
  mirror.close()
  geneve.close()
  await program.finish()
  return { packetDrops, requestDrops, after, before }
}

/** Halves of requests and fragments may wait for the rest: they are held, and the sums say so. */
async function settledButHeld(program: Awaited<ReturnType<typeof openProgram>>) {
  let last = -1
  for (;;) {
    const now = await program.ledger()
    if (now.received === last && now.samples.get('mirrorshard_ring_packets') === 0) return now
    last = now.received
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

const segment = packets.tcp({ data: 'GET / HTTP/1.1\r\n\r\n' })
const ip = packets.ipv4({ payload: segment })
const frame = packets.ethernet(EtherType.ipv4, ip)
const cut = (bytes: Buffer, length: number) => bytes.subarray(0, length)

/** Reason → a datagram that is dropped for it. */
const MALFORMED: readonly [string, 'vxlan' | 'geneve', Buffer][] = [
  ['vxlanTruncated', 'vxlan', Buffer.from([8, 0, 0])],
  ['vxlanNoVni', 'vxlan', packets.vxlan(1, frame, 0)],
  ['geneveTruncated', 'geneve', Buffer.from([0, 0, 0])],
  ['geneveVersion', 'geneve', packets.geneve({ protocol: 0x6558, payload: frame, version: 1 })],
  [
    'geneveOptions',
    'geneve',
    packets.geneve({ protocol: 0x6558, payload: frame, options: [Buffer.from([1, 2, 3, 31])] }),
  ],
  ['geneveControl', 'geneve', packets.geneve({ protocol: 0x6558, payload: frame, flags: 0x80 })],
  ['geneveProtocol', 'geneve', packets.geneve({ protocol: 0x1234, payload: frame })],
  ['linkTruncated', 'vxlan', vxlanOf(cut(frame, 9))],
  ['vlanDepth', 'vxlan', vxlanOf(packets.ethernet(EtherType.ipv4, ip, Array<number>(9).fill(EtherType.vlan)))],
  ['ipTruncated', 'vxlan', vxlanOf(cut(frame, 14 + 12))],
  [
    'ipVersion',
    'vxlan',
    vxlanOf(packets.ethernet(EtherType.ipv4, Buffer.concat([Buffer.from([0x25]), ip.subarray(1)]))),
  ],
  ['ipLength', 'vxlan', vxlanOf(packets.ethernet(EtherType.ipv4, packets.ipv4({ payload: segment, totalLength: 10 })))],
  ['tcpTruncated', 'vxlan', vxlanOf(cut(frame, 14 + 20 + 12))],
  [
    'tcpLength',
    'vxlan',
    vxlanOf(packets.ethernet(EtherType.ipv4, packets.ipv4({ payload: packets.tcp({ dataOffset: 2 }) }))),
  ],
  [
    'fragmentInvalid',
    'vxlan',
    vxlanOf(
      packets.ethernet(
        EtherType.ipv4,
        packets.ipv4({ payload: Buffer.alloc(64), protocol: 6, fragmentOffset: 65_528 }),
      ),
    ),
  ],
]

/** Reason → a request that is dropped for it. */
const MALFORMED_HTTP: readonly [string, string][] = [
  ['requestLine', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['version', 'GET / HTTP/1.9\r\nHost: a\r\n\r\n'],
  ['bareLf', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n'],
  ['bareCr', 'GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n'],
  ['nul', 'GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n'],
  ['obsFold', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n'],
  ['headerName', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
  ['headerTooLarge', `GET / HTTP/1.1\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`],
  ['tooManyHeaders', `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(600)}\r\n`],
  [
    'lengthAndChunked',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['contentLength', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc'],
  ['transferCoding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n'],
  ['chunkSize', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n'],
  ['chunkEnd', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n'],
]

function rawRequest(text: string): Buffer[] {
  const client = nextClient()
  const bytes = Buffer.from(text, 'latin1')
  const pieces = [segmentOf(client, { seq: 99, flags: TcpFlag.syn })]
  for (let at = 0; at < bytes.length; at += 1400)
    pieces.push(
      segmentOf(client, {
        seq: 100 + at,
        flags: TcpFlag.ack,
        payload: bytes.subarray(at, Math.min(bytes.length, at + 1400)),
      }),
    )
  return [...pieces, segmentOf(client, { seq: 100 + bytes.length, flags: TcpFlag.fin | TcpFlag.ack })]
}

describe('hostile bytes over UDP: nothing throws, everything is counted, ordinary traffic goes on', () => {
  test('malformed VXLAN, GENEVE, VLAN, IP, TCP: each with its own reason', async () => {
    const EACH = 50
    const { packetDrops } = await besides(async (vxlan, geneve) => {
      for (const [, listener, datagram] of MALFORMED)
        await (listener === 'vxlan' ? vxlan : geneve).send(Array.from({ length: EACH }, () => datagram))
    })
    const expected = Object.fromEntries(MALFORMED.map(([reason]) => [reason, EACH]))
    expect(packetDrops).toEqual(expected)
  })

  test('malformed HTTP: each with its own reason, and none of it is sent', async () => {
    const EACH = 10
    const sentBefore = origin.executed.get('GET /') ?? 0
    const { requestDrops } = await besides(async (vxlan) => {
      for (let n = 0; n < EACH; n++) for (const [, text] of MALFORMED_HTTP) await vxlan.send(rawRequest(text))
    })
    expect(requestDrops).toEqual(Object.fromEntries(MALFORMED_HTTP.map(([reason]) => [reason, EACH])))
    expect(origin.executed.get('GET /') ?? 0).toBe(sentBefore)
    expect(origin.executed.has('POST /')).toBe(false)
  })

  test('random bytes: datagrams, and what follows each header', async () => {
    const random = new Random(SEED)
    const noise = (length: number) => Buffer.from(Uint8Array.from({ length }, () => random.below(256)))
    const { packetDrops } = await besides(async (vxlan, geneve) => {
      for (let n = 0; n < 60; n++) {
        const bytes = Array.from({ length: 40 }, () => noise(random.below(300)))
        await vxlan.send(bytes)
        await geneve.send(bytes)
        await vxlan.send(bytes.map(vxlanOf))
        await vxlan.send(
          bytes.map((b) => vxlanOf(packets.ethernet(random.pick([0x0800, 0x86dd, 0x8100, 0x8847, 0x8864]), b))),
        )
        await vxlan.send(
          bytes.map((b) =>
            vxlanOf(
              packets.ethernet(EtherType.ipv4, packets.ipv4({ payload: b, protocol: random.pick([6, 17, 47, 4, 41]) })),
            ),
          ),
        )
        await vxlan.send(bytes.map((b) => segmentOf(nextClient(), { seq: 1, flags: random.below(64), payload: b })))
      }
    })
    expect(sum(packetDrops), `seed ${SEED}`).toBeGreaterThan(1000)
  })

  test('real traffic with bytes changed, truncated, repeated and out of order', async () => {
    const random = new Random(SEED + 1)
    const { after, before } = await besides(async (vxlan) => {
      for (let n = 0; n < 250; n++) {
        const datagrams = connectionOf([
          { method: 'POST', target: `/mutated/${n}`, body: Buffer.alloc(random.below(4000), 'm') },
          { method: 'GET', target: `/mutated/${n}/b` },
        ])
        const mutated = datagrams.map((datagram) => {
          const copy = Buffer.from(datagram)
          // Not the addresses: a changed packet must not become one of somebody else's.
          for (let i = random.below(4); i > 0; i--) {
            const at = random.below(copy.length)
            if (at < 34 || at > 46) copy[at] = random.below(256)
          }
          return random.chance(0.1) ? copy.subarray(0, random.below(copy.length)) : copy
        })
        for (let i = random.below(3); i > 0; i--) mutated.push(random.pick(mutated))
        if (random.chance(0.3)) mutated.reverse()
        await vxlan.send(mutated)
      }
    })
    expect(after.received - before.received, `seed ${SEED + 1}`).toBeGreaterThan(2000)
  })
})
