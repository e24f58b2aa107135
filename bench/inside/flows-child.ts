/** The measurement of the flows bench, a process of its own with --expose-gc: JSON on its command line, JSON on standard output. */
import { writeSync } from 'node:fs'
import { CONNECTION_BYTES } from '../../src/base/memory-weights.ts'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { TcpConversation } from '../../src/demo/traffic/tcp-conversation.ts'
import { fiveTupleHash } from '../../src/dispatch/hash.ts'
import { Counter, type CounterBlock } from '../../src/metrics/counters.ts'
import type { Shard } from '../../src/topology/shard.ts'
import { ETHERNET_LEN, endsOf, frameOf, packed, viewFrame } from '../micro/packets.ts'
import { benchShardConfig, collectGarbage, newCounters, openShard, replayDefaults } from './parts.ts'

export interface IdleOrder {
  readonly flows: number
  readonly until: 'handshake' | 'exchange'
}

export interface CycleOrder {
  readonly flows: number
  readonly close: 'fin' | 'rst'
  readonly data: boolean
}

interface Counts {
  readonly packets: number
  readonly processed: number
  readonly requests: number
  readonly opened: number
  readonly open: number
}

/** Growth in bytes. */
export interface IdleResult extends Counts {
  readonly rss: number
  readonly heap: number
  readonly outside: number
}

export interface CycleResult extends Counts {
  readonly seconds: number
  /** Flows in the table before the last time-out: open or lately closed. */
  readonly tableSize: number
}

const KEY = 0x5eed
const REQUEST = Buffer.from('GET /shop/cart?q=1 HTTP/1.1\r\nHost: shop.example.test\r\nAccept: */*\r\n\r\n')
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
/** Few beside those measured: what they leave free is used again. */
const WARM_UP_FLOWS = 2_000
const FLOWS_PER_SECOND = 20_000
/** Second, third and fourth byte of the client's address name the connection. */
const MOST_FLOWS = 1 << 24
const SOURCE_AT = ETHERNET_LEN + 12
const DESTINATION_AT = ETHERNET_LEN + 16

/** The packets of one connection, which becomes another one by three bytes of an address. */
class Conversation {
  private readonly bytes: Buffer
  private readonly offsets: number[]
  /** Where the client's address stands in each packet. */
  private readonly clientAt: number[]
  private readonly view = new PacketView()
  readonly length: number

  constructor(tcp: TcpConversation) {
    const ends = endsOf(4, 1)
    const isFromClient = tcp.segments.map(({ from }) => from === 'client')
    const frames = tcp.segments.map(({ payload, ...header }, i) =>
      isFromClient[i]!
        ? frameOf(ends.client, ends.server, payload, header)
        : frameOf(ends.server, ends.client, payload, header),
    )
    const { bytes, offsets } = packed(frames)
    this.bytes = bytes
    this.offsets = offsets
    this.clientAt = isFromClient.map((isFrom, i) => offsets[i]! + (isFrom ? SOURCE_AT : DESTINATION_AT))
    this.length = frames.length
  }

  /** All of it as connection `n`. */
  drive(shard: Shard, n: number, nowUs: number): void {
    const { bytes, view } = this
    for (let i = 0; i < this.length; i++) {
      const at = this.clientAt[i]!
      bytes[at + 1] = n >>> 16
      bytes[at + 2] = n >>> 8
      bytes[at + 3] = n
      viewFrame(view, bytes, this.offsets[i]!, 4)
      view.hash = fiveTupleHash(bytes, view.ipAt, 4, view.tcpAt, 0, KEY)
      view.timeUs = nowUs
      view.nowUs = nowUs
      shard.packet(view)
    }
  }
}

const FIRST_US = 1_767_225_600e6

async function idle({ flows, until }: IdleOrder): Promise<IdleResult> {
  const { shard, counters } = await open(flows)
  const tcp = new TcpConversation({ client: 1000, server: 5000 })
  if (until === 'exchange') exchange(tcp)
  const conversation = new Conversation(tcp)
  // Code is loaded and compiled before anything is weighed.
  warmUp(shard, conversation, flows)
  collectGarbage()
  const before = process.memoryUsage()
  const counted = countsOf(counters, 0)
  for (let n = 0; n < flows; n++) conversation.drive(shard, n, FIRST_US)
  collectGarbage()
  collectGarbage()
  const after = process.memoryUsage()
  shard.publish()
  const counts = countsOf(counters, flows * conversation.length, counted)
  // Buffers outside the heap are counted in `external`, array buffers among them.
  return {
    ...counts,
    rss: after.rss - before.rss,
    heap: after.heapUsed - before.heapUsed,
    outside: after.external - before.external,
  }
}

async function cycle({ flows, close, data }: CycleOrder): Promise<CycleResult> {
  const { shard, counters } = await open(flows)
  const tcp = new TcpConversation({ client: 1000, server: 5000 })
  if (data) exchange(tcp)
  if (close === 'fin') tcp.close('client')
  else tcp.reset('client')
  const conversation = new Conversation(tcp)
  warmUp(shard, conversation, flows)
  const counted = countsOf(counters, 0)
  const startedMs = performance.now()
  for (let n = 0; n < flows; n++) conversation.drive(shard, n, FIRST_US + n * (1e6 / FLOWS_PER_SECOND))
  const seconds = (performance.now() - startedMs) / 1000
  const tableSize = sizeOf(shard)
  shard.publish()
  return { ...countsOf(counters, flows * conversation.length, counted), seconds, tableSize }
}

/** Other connections than those measured; gone before the measurement begins. */
function warmUp(shard: Shard, conversation: Conversation, flows: number): void {
  const some = Math.min(WARM_UP_FLOWS, MOST_FLOWS - flows)
  for (let n = 0; n < some; n++) conversation.drive(shard, flows + n, FIRST_US - 3_600e6)
  shard.closeAll()
}

async function open(flows: number): Promise<{ shard: Shard; counters: CounterBlock }> {
  const shardConfig = benchShardConfig(
    await replayDefaults({
      maxFlows: String(flows + WARM_UP_FLOWS),
      // What each costs is measured, not what the budget lets stay.
      connectionBytes: String((flows + WARM_UP_FLOWS) * CONNECTION_BYTES),
      memoryLimit: '64GiB',
    }),
  )
  const counters = newCounters()
  return { shard: await openShard(shardConfig, counters), counters }
}

function exchange(tcp: TcpConversation): void {
  tcp.say('client', REQUEST, () => REQUEST.length)
  tcp.say('server', ANSWER, () => ANSWER.length)
}

/** What was counted since `earlier`. */
function countsOf(counters: CounterBlock, packets: number, earlier?: Counts): Counts {
  return {
    packets,
    processed: counters.get(Counter.packetsProcessed) - (earlier?.processed ?? 0),
    requests: counters.get(Counter.requestsParsed) - (earlier?.requests ?? 0),
    opened: counters.get(Counter.flowsOpened) - (earlier?.opened ?? 0),
    open: counters.get(Counter.flowsOpen),
  }
}

function sizeOf(shard: Shard): number {
  return (shard as unknown as { reassembler: { table: { size: number } } }).reassembler.table.size
}

const order = JSON.parse(process.argv[2]!) as IdleOrder | CycleOrder
writeSync(1, JSON.stringify('until' in order ? await idle(order) : await cycle(order)))
