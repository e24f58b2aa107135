/** Floods and full stores: live, over real UDP, at small limits, while ordinary traffic goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Random } from '../../src/demo/traffic/random.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { ethernet, fragmentIpv4, ipv4, tcp } from '../support/packets.ts'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { difference, sum } from './support/identity.ts'
import { connectionOf, Load, Mirror, nextClient, requestBytes, segmentOf, vxlanOf } from './support/mirror.ts'
import { Origin } from './support/origin.ts'
import { closeAfterEach, openProgram, type Program } from './support/program.ts'

const SEED = 20_261_124
const USUAL_PER_SECOND = 60
const SEGMENT = 1400
/** What arrives is not waited for any longer behind a flood. */
const FLOOD_LIMIT_MS = 20_000
/** A share that is shed falls within seconds, and a busy machine takes some. */
const BACK_LIMIT_MS = 10_000
const LOOK_MS = 20
/** A thread that stands still is noticed after 1.4 s; on a busy machine the look at it comes late. */
const DEATH_LIMIT_MS = 15_000

let origin: Origin
let round = 0
beforeAll(async () => {
  origin = await Origin.listen()
})
afterAll(() => origin.close())
closeAfterEach()

interface Flood {
  readonly args: readonly string[]
  readonly datagrams: (mirror: Mirror, program: Program) => Promise<void>
  readonly workers?: number
  /** Connections are left out by their hash, fewer and fewer of them behind the flood: a new one may be among them. */
  readonly sheds?: boolean
}

async function under(flood: Flood) {
  const program = await openProgram({ to: origin.url, workers: flood.workers ?? 1, args: flood.args })
  const mirror = await Mirror.open(program.port)
  const path = `/${++round}`
  const usual = new Load(mirror, (n) => [0, 1].map((i) => ({ method: 'GET', target: `${path}/usual/${n}/${i}` })))
  await usual.runFor(300, USUAL_PER_SECOND)
  await until('traffic flows', () => [...usual.sentAt.keys()].every((t) => origin.arrivedAt.has(t)))
  const before = await program.ledger()
  const stateBefore = program.state()
  // A connection that was there before, and says something in the middle of the flood.
  const old = nextClient()
  const oldRequest = requestBytes({ method: 'GET', target: `${path}/old` })
  mirror.push([segmentOf(old, { seq: 99, flags: TcpFlag.syn })])
  await sleep(50)

  const peak = { rssMb: stateBefore.rssMb, flows: 0, outOfOrder: 0, messages: 0 }
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      const { samples } = await program.ledger()
      peak.rssMb = Math.max(peak.rssMb, program.state().rssMb)
      peak.flows = Math.max(peak.flows, samples.get('mirrorshard_flows_open')!)
      peak.outOfOrder = Math.max(peak.outOfOrder, samples.get('mirrorshard_reassembly_out_of_order_bytes')!)
      peak.messages = Math.max(peak.messages, samples.get('mirrorshard_memory_bytes{part="messages"}')!)
      await sleep(50)
    }
  })()
  usual.start(USUAL_PER_SECOND)
  const startedMs = performance.now()
  const flooding = flood.datagrams(mirror, program)
  await sleep(200)
  mirror.push([segmentOf(old, { seq: 100, flags: TcpFlag.ack | TcpFlag.psh, payload: oldRequest })])
  await flooding
  const floodMs = Math.round(performance.now() - startedMs)
  usual.stop()
  await until(
    'the flood is worked off',
    async () => {
      const now = await program.ledger()
      return now.packetsHeld === 0 && now.received + now.kernelDrops >= mirror.datagrams
    },
    FLOOD_LIMIT_MS,
  )
  const workedOffMs = Math.round(performance.now() - startedMs) - floodMs
  isOver = true
  await watching
  const during = await program.ledger()
  return {
    program,
    mirror,
    path,
    usual,
    sheds: flood.sheds === true,
    before,
    during,
    stateBefore,
    peak,
    floodMs,
    workedOffMs,
  }
}

type Under = Awaited<ReturnType<typeof under>>

/** What holds behind every flood. */
async function expectAlive(seen: Under, more: Readonly<Record<string, string | number>> = {}) {
  const { program, mirror, path, usual, before } = seen
  let tries = 0
  const backMs = await until(
    'ordinary traffic after the flood',
    async () => {
      if (tries === 0 || seen.sheds) mirror.push(connectionOf([{ method: 'GET', target: `${path}/after/${tries++}` }]))
      await sleep(LOOK_MS)
      return [...origin.arrivedAt.keys()].some((target) => target.startsWith(`${path}/after/`))
    },
    BACK_LIMIT_MS,
  )
  await until('all is counted', async () => {
    const { received, kernelDrops } = await program.ledger()
    return received + kernelDrops >= mirror.datagrams
  })
  const now = await program.ledger()
  const arrived = [...usual.sentAt.keys()].filter((target) => origin.arrivedAt.has(target)).length
  const packetDrops = difference(now.packetDrops, before.packetDrops)
  const requestDrops = difference(now.requestDrops, before.requestDrops)
  const gaps =
    now.samples.get('mirrorshard_reassembly_gaps_total')! - before.samples.get('mirrorshard_reassembly_gaps_total')!
  tellFigures({
    datagrams: mirror.datagrams,
    'flood ms': seen.floodMs,
    'worked off ms behind it': seen.workedOffMs,
    'kernel drops': now.kernelDrops,
    'packets dropped': packetDrops,
    'requests dropped': requestDrops,
    gaps,
    'ordinary requests': `${arrived} of ${usual.sentAt.size}`,
    'connection from before': origin.arrivedAt.has(`${path}/old`) ? 'replayed' : 'not replayed',
    'new one after ms': backMs,
    'flows at most': seen.peak.flows,
    'out-of-order bytes at most': seen.peak.outOfOrder,
    'RSS MB': `${seen.stateBefore.rssMb} → ${program.state().rssMb}, most ${seen.peak.rssMb}`,
    ...more,
  })
  expect(program.said.filter((line) => line.includes('died'))).toEqual([])
  expect(now.received + now.kernelDrops).toBe(mirror.datagrams)
  expect(origin.repeated('GET')).toEqual([])
  mirror.close()
  await program.finish()
  return { now, packetDrops, requestDrops, gaps, arrived }
}

/** Ordinary requests all arrived, unless the kernel, which is counted, took their packets. */
function expectUsualReplayed(seen: Under, arrived: number, kernelDrops: number): void {
  if (kernelDrops === 0) expect(arrived).toBe(seen.usual.sentAt.size)
  expect(arrived).toBeGreaterThan(seen.usual.sentAt.size * 0.5)
}

test.each([
  ['single packets are dropped', 'ringFull', ['--shed-above', '100']],
  ['whole connections are dropped', 'shed', []],
] as const)(
  'ring full: %s, as %s, while a shard hangs, and traffic goes on when it is back',
  async (_what, reason, args) => {
    const seen = await under({
      sheds: reason === 'shed',
      args: ['--ring-bytes', '262144', ...args],
      datagrams: async (mirror, program) => {
        await program.break('shard=0', 'spin')
        for (let n = 0; n < 300; n++)
          await mirror.send(connectionOf([{ method: 'POST', target: `/ring/${n}`, body: Buffer.alloc(4000, 'r') }]))
        await until(
          'the spinning shard is ended',
          () => program.said.some((line) => line.includes('worker 0 died')),
          DEATH_LIMIT_MS,
        )
        // Said so above; here a shard is meant to have died.
        ;(program.said as string[]).length = 0
        await sleep(500)
      },
    })
    const { packetDrops } = await expectAlive(seen)
    const { shardLost: _, ...forWantOfRoom } = packetDrops
    expect(forWantOfRoom[reason]).toBeGreaterThan(500)
    // Below the last level of shedding a connection that is kept may still meet a full ring.
    expect(['shed', 'ringFull']).toEqual(expect.arrayContaining(Object.keys(forWantOfRoom)))
    if (reason === 'ringFull') expect(forWantOfRoom.shed).toBeUndefined()
  },
)

test('out-of-order bytes: connections with a gap at the front stay below the limits of connection and shard', async () => {
  const TOTAL = 262_144
  const EACH = 32_768
  const ALONE = 3
  const GAPS = 'mirrorshard_reassembly_gaps_total'
  const alone = { gaps: 0 }
  const seen = await under({
    args: [
      '--out-of-order-bytes',
      String(EACH),
      '--out-of-order-total-bytes',
      String(TOTAL),
      '--reorder-window-ms',
      '60000',
      '--reorder-window-packets',
      '10000',
    ],
    datagrams: async (mirror, program) => {
      const withHole = (segments: number) => {
        const client = nextClient()
        const piece = (i: number) =>
          segmentOf(client, { seq: 100 + i * SEGMENT, flags: TcpFlag.ack, payload: Buffer.alloc(SEGMENT, 'o') })
        // Number 0 never comes.
        return [
          segmentOf(client, { seq: 99, flags: TcpFlag.syn }),
          ...Array.from({ length: segments }, (_, i) => piece(i + 1)),
        ]
      }
      // A few above their own cap, and all together far below that of the shard: each gives up its hole.
      const gapsBefore = (await program.ledger()).samples.get(GAPS)!
      for (let n = 0; n < ALONE; n++) await mirror.send(withHole(40))
      await until('all is read', async () => {
        const { received, kernelDrops, packetsHeld } = await program.ledger()
        return packetsHeld === 0 && received + kernelDrops >= mirror.datagrams
      })
      const { samples } = await program.ledger()
      alone.gaps = samples.get(GAPS)! - gapsBefore
      // Each above its own cap; then each below it, and together above that of the shard.
      for (let n = 0; n < 20; n++) await mirror.send(withHole(40))
      for (let n = 0; n < 40; n++) await mirror.send(withHole(20))
      await sleep(200)
    },
  })
  expect(seen.peak.outOfOrder).toBeGreaterThan(TOTAL / 2)
  expect(seen.peak.outOfOrder).toBeLessThanOrEqual(TOTAL)
  const { arrived, now, gaps } = await expectAlive(seen)
  // A hole each, and nothing held behind it; what is below both caps waits.
  if (now.kernelDrops === 0) expect(alone.gaps).toBe(ALONE)
  expect(gaps).toBeGreaterThan(alone.gaps)
  expectUsualReplayed(seen, arrived, now.kernelDrops)
})

test('body bytes: bodies above the limit are dropped with a reason, and what follows them is replayed', async () => {
  const seen = await under({
    args: ['--max-body-bytes', '65536'],
    datagrams: async (mirror) => {
      for (let n = 0; n < 40; n++)
        await mirror.send(
          connectionOf([
            { method: 'POST', target: `/body/${n}`, body: Buffer.alloc(200_000, 'b') },
            { method: 'GET', target: `/behind-body/${n}` },
          ]),
        )
    },
  })
  const { requestDrops, arrived, now } = await expectAlive(seen)
  expect(requestDrops.bodyTooLarge).toBe(40)
  expect([...origin.arrivedAt.keys()].filter((target) => target.startsWith('/body/'))).toEqual([])
  if (now.kernelDrops === 0)
    expect([...origin.arrivedAt.keys()].filter((target) => target.startsWith('/behind-body/'))).toHaveLength(40)
  expectUsualReplayed(seen, arrived, now.kernelDrops)
})

test('memory for messages: bodies that never end are dropped with a reason at its limit, and other requests go on', async () => {
  const LIMIT = 4 << 20
  const MESSAGES = 'mirrorshard_memory_bytes{part="messages"}'
  const CONNECTIONS = 16
  const half = requestBytes({ method: 'POST', target: '/never-whole', body: Buffer.alloc(900_000, 'm') }).subarray(
    0,
    800_000,
  )
  const seen = await under({
    args: ['--message-bytes', String(LIMIT), '--max-body-bytes', '1MiB'],
    datagrams: async (mirror) => {
      for (let n = 0; n < CONNECTIONS; n++) {
        const client = nextClient()
        const pieces = [segmentOf(client, { seq: 99, flags: TcpFlag.syn })]
        for (let at = 0; at < half.length; at += SEGMENT)
          pieces.push(
            segmentOf(client, { seq: 100 + at, flags: TcpFlag.ack, payload: half.subarray(at, at + SEGMENT) }),
          )
        await mirror.send(pieces)
      }
    },
  })
  const held = seen.during.samples.get(MESSAGES)!
  const { requestDrops, arrived, now } = await expectAlive(seen, { 'bytes of messages': held })
  expect(seen.peak.messages).toBeLessThanOrEqual(LIMIT)
  expect(seen.peak.messages).toBeGreaterThan(LIMIT / 2)
  if (now.kernelDrops === 0)
    expect(requestDrops.memoryLimit).toBeGreaterThanOrEqual(CONNECTIONS - Math.floor(LIMIT / half.length) - 1)
  expect(origin.arrivedAt.has('/never-whole')).toBe(false)
  expectUsualReplayed(seen, arrived, now.kernelDrops)
})

test('queue bytes: bodies beyond the memory of the queue are dropped with a reason while the origin is slow', async () => {
  const slow = await Origin.listen()
  slow.answer = () => {}
  const program = await openProgram({
    to: slow.url,
    workers: 1,
    args: [
      '--queue-bytes',
      '1000000',
      '--connections',
      '4',
      '--headers-timeout-ms',
      '800',
      '--drain-timeout-ms',
      '1000',
    ],
  })
  const mirror = await Mirror.open(program.port)
  for (let n = 0; n < 60; n++)
    await mirror.send(connectionOf([{ method: 'POST', target: `/q/${n}`, body: Buffer.alloc(100_000, 'q') }]))
  await until('all are read', async () => (await program.ledger()).parsed === 60)
  const full = await program.ledger()
  const held = full.samples.get('mirrorshard_replay_queued_bytes')!
  tellFigures({
    'held bytes': held,
    'of at most': 1_000_000,
    'requests dropped': full.requestDrops,
    outcomes: full.outcomes,
  })
  expect(full.requestDrops.queueFull).toBeGreaterThan(40)
  expect(held).toBeLessThanOrEqual(1_000_000)
  mirror.close()
  await program.finish()
  await slow.close()
})

const MAX_FLOWS = 2000
const FLOOD_FLOWS = 30_000

test('SYN flood: the flow table stays at its limit, half-open connections are evicted, and ordinary ones go on', async () => {
  const seen = await under({
    args: ['--max-flows', String(MAX_FLOWS), '--flow-idle-timeout-ms', '1500'],
    datagrams: async (mirror) => {
      for (let n = 0; n < FLOOD_FLOWS / 100; n++)
        await mirror.send(Array.from({ length: 100 }, () => segmentOf(nextClient(), { seq: 1, flags: TcpFlag.syn })))
    },
  })
  expect(seen.peak.flows).toBeLessThanOrEqual(MAX_FLOWS)
  expect(origin.arrivedAt.has(`${seen.path}/old`)).toBe(true)
  await until(
    'the flood is forgotten',
    async () => (await seen.program.ledger()).samples.get('mirrorshard_flows_open')! < MAX_FLOWS / 2,
  )
  const evicted = seen.during.samples.get('mirrorshard_flows_evicted_total')!
  const { arrived, now } = await expectAlive(seen, { 'flows evicted': evicted })
  expect(evicted).toBeGreaterThanOrEqual(FLOOD_FLOWS - MAX_FLOWS - now.kernelDrops)
  expectUsualReplayed(seen, arrived, now.kernelDrops)
})

test('flow-table flood: connections with half a request each fill the table, and further ones are refused with a reason', async () => {
  const half = Buffer.from('POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
  const seen = await under({
    args: ['--max-flows', String(MAX_FLOWS), '--flow-idle-timeout-ms', '1500'],
    datagrams: async (mirror) => {
      for (let n = 0; n < FLOOD_FLOWS / 200; n++) {
        const pieces: Buffer[] = []
        for (let i = 0; i < 100; i++) {
          const client = nextClient()
          pieces.push(segmentOf(client, { seq: 99, flags: TcpFlag.syn }))
          pieces.push(segmentOf(client, { seq: 100, flags: TcpFlag.ack, payload: half }))
        }
        await mirror.send(pieces)
      }
    },
  })
  expect(seen.peak.flows).toBeLessThanOrEqual(MAX_FLOWS)
  await until(
    'the flood is forgotten',
    async () => (await seen.program.ledger()).samples.get('mirrorshard_flows_open')! < MAX_FLOWS / 2,
  )
  const { packetDrops, requestDrops } = await expectAlive(seen)
  // Each of the flood has a request in hand: as good as any other, so what comes then is refused, by name.
  expect(packetDrops.flowLimit).toBeGreaterThan(0)
  // Halves never leave; those that were held are dropped by name.
  expect(origin.arrivedAt.has('/half')).toBe(false)
  expect(sum(requestDrops)).toBeGreaterThan(0)
})

test('one elephant flow: others are replayed beside it', async () => {
  const BODIES = 12
  const seen = await under({
    args: [],
    workers: 2,
    datagrams: async (mirror) => {
      await mirror.send(
        connectionOf(
          Array.from({ length: BODIES }, (_, n) => ({
            method: 'POST',
            target: `/elephant/${n}`,
            body: Buffer.alloc(3_000_000, 'e'),
          })),
        ),
        4,
      )
    },
  })
  const { arrived, now } = await expectAlive(seen)
  const elephants = [...origin.arrivedAt.keys()].filter((target) => target.startsWith('/elephant/')).length
  if (now.kernelDrops === 0 && sum(now.packetDrops) === 0) expect(elephants).toBe(BODIES)
  expectUsualReplayed(seen, arrived, now.kernelDrops)
})

test('far-ahead segments: anywhere in the sequence space, for connections that are open', async () => {
  const random = new Random(SEED)
  const seen = await under({
    args: ['--out-of-order-total-bytes', '1048576'],
    datagrams: async (mirror) => {
      const clients = Array.from({ length: 50 }, () => nextClient())
      await mirror.send(clients.map((client) => segmentOf(client, { seq: 99, flags: TcpFlag.syn })))
      for (let n = 0; n < 300; n++)
        await mirror.send(
          Array.from({ length: 100 }, () =>
            segmentOf(random.pick(clients), {
              seq: random.word() | 0,
              flags: TcpFlag.ack,
              payload: Buffer.alloc(64, 'f'),
            }),
          ),
        )
    },
  })
  expect(seen.peak.outOfOrder, `seed ${SEED}`).toBeLessThanOrEqual(1_048_576)
  const { arrived, now } = await expectAlive(seen)
  expectUsualReplayed(seen, arrived, now.kernelDrops)
})

test('fragments without an end: the store stays at its limit, and drops have a reason', async () => {
  const seen = await under({
    args: ['--fragment-datagrams', '500', '--fragment-timeout-ms', '1000'],
    datagrams: async (mirror) => {
      for (let n = 0; n < 100; n++) {
        const pieces: Buffer[] = []
        for (let i = 0; i < 100; i++) {
          const packet = ipv4({ payload: tcp({ data: Buffer.alloc(64) }) })
          // The first of several; the others never come.
          pieces.push(vxlanOf(ethernet(0x0800, fragmentIpv4(packet, 40, n * 100 + i)[0]!)))
        }
        await mirror.send(pieces)
      }
    },
  })
  await until('waiting fragments are given up', async () => (await seen.program.ledger()).packetsHeld === 0)
  const { packetDrops, arrived, now } = await expectAlive(seen)
  expect(packetDrops.fragmentLimit).toBeGreaterThan(0)
  expect(packetDrops.fragmentTimeout).toBeGreaterThan(0)
  expectUsualReplayed(seen, arrived, now.kernelDrops)
})
