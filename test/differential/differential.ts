/**
 * The comparison itself. A stream is read by the product and by other readers (does the world read the captured bytes as we do?); what the product
 * passes on is replayed by each engine to each reader as an origin (is what we send exactly that one request?). A sentinel stands behind
 * everything, so that a byte too many or too few shows in it.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { MonotonicClock } from '../../src/base/clock.ts'
import type { ConnectionFacts } from '../../src/exchange/connection.ts'
import type { MessageView } from '../../src/exchange/message.ts'
import { CounterBlock } from '../../src/metrics/counters.ts'
import { ENGINE_NAMES, type EngineName } from '../../src/sinks/replay/engine.ts'
import { loadEngine } from '../../src/sinks/replay/engines.ts'
import { REPLAY_DEFAULTS } from '../../src/sinks/replay/options.ts'
import { ReplaySink } from '../../src/sinks/replay/replay-sink.ts'
import { CONNECTION, CONNECTIONS } from '../http/support/connection-rig.ts'
import { dropsOf, outcomesOf } from '../sinks/replay/support/ledger.ts'
import { expectedAtOrigin } from './documented-changes.ts'
import { lineOf, type OurReading, readAsWeDo, type TakenRequest } from './our-reading.ts'
import { NginxProgram, NginxReader, nginxVersion } from './readers/nginx.ts'
import { NodeHttpReader, RecordingServer } from './readers/node-http.ts'
import { ParserJsConnection, ParserJsReader } from './readers/parser-js.ts'
import type { Reader, Reading, SeenRequest } from './readers/reader.ts'

export interface Difference {
  readonly reader: string
  readonly what: string
  /** The captured stream, escaped. */
  readonly stream: string
}

/** What became of requests with one reader, or one engine and reader. */
export interface Tally {
  same: number
  /** Refused whole, or not read at all, by reason. */
  readonly refused: Map<string, number>
}

export class Report {
  streams = 0
  accepted = 0
  readonly dropped = new Map<string, number>()
  /** Readings of captured streams, by reader; replayed requests, by `engine → reader`. */
  readonly captured = new Map<string, Tally>()
  readonly replayed = new Map<string, Tally>()
  /** Sentinels that came on the connection of the request before them, by `engine → reader`. */
  readonly sentinelsBehind = new Map<string, number>()
  readonly differences: Difference[] = []
}

export function tallyOf(map: Map<string, Tally>, name: string): Tally {
  let tally = map.get(name)
  if (tally === undefined) {
    tally = { same: 0, refused: new Map() }
    map.set(name, tally)
  }
  return tally
}

export function count(map: Map<string, number>, name: string, n = 1): void {
  map.set(name, (map.get(name) ?? 0) + n)
}

const SENTINEL = '/sentinel/'
const sentinel = (id: number) => {
  const body = `sentinel ${id}`
  return `POST ${SENTINEL}${id} HTTP/1.1\r\nHost: s\r\nX-Case: ${id}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

// --- captured streams ---

/**
 * Request by request: where we passed one on, the reader saw the same one, or nothing any more. Behind what we refuse, and what we
 * drop in itself, it may see what it likes.
 */
export function compareCaptured(ours: OurReading, theirs: Reading, reader: string, tally: Tally): string | null {
  const { verdicts } = ours
  const { requests, refusal } = theirs
  for (let i = 0; i < verdicts.length; i++) {
    const own = verdicts[i]!
    const other = requests[i]
    if (other === undefined) {
      const why = refusal ?? 'ended the connection'
      for (const verdict of verdicts.slice(i)) if (typeof verdict !== 'string') count(tally.refused, why)
      return null
    }
    if (typeof own === 'string') continue
    const known = knownDeviation(own, reader)
    if (known !== null) {
      count(tally.refused, known)
      return null
    }
    const difference = differs(own, other)
    if (difference !== null) return difference
    tally.same++
  }
  // A parser without a server around it goes on behind Connection: close.
  const { afterAmbiguous, otherProtocol, tunnel, behindClose } = ours.bytes
  const isReadToTheEnd = afterAmbiguous + otherProtocol + tunnel + behindClose === 0 && verdicts.at(-1) !== 'incomplete'
  if (isReadToTheEnd && requests.length > verdicts.length)
    return `reads ${requests.length} requests, we ${verdicts.length}: also ${lineOf({ ...requests[verdicts.length]!, version: '', headers: [] })}`
  return null
}

/** Where a reader is known to be wrong about what RFC 9112 leaves no doubt about. */
function knownDeviation(own: TakenRequest, reader: string): string | null {
  const value = (name: string) =>
    own.headers.flatMap(([n, v]) => (n.toLowerCase() === name ? [v.toLowerCase()] : [])).join(',')
  const has = (name: string) => own.headers.some(([n]) => n.toLowerCase() === name)
  if (reader !== 'http-parser-js' || !has('transfer-encoding')) return null
  return has('upgrade') && value('connection').includes('upgrade') ? 'known: forgets the chunks of an upgrade' : null
}

/** What a reader saw of a request that should be `own`; null: the same. */
function differs(
  own: {
    readonly method: string
    readonly target: string
    readonly headers: TakenRequest['headers']
    readonly body: Buffer
  },
  other: SeenRequest,
): string | null {
  if (own.method !== other.method) return `method ${own.method}, seen ${other.method}`
  if (own.target !== other.target) return `target ${own.target}, seen ${other.target}`
  if (!own.body.equals(other.body)) return `a body of ${own.body.length} bytes, seen one of ${other.body.length}`
  if (other.headers !== null) {
    const text = (headers: TakenRequest['headers']) => headers.map(([name, value]) => `${name}: ${value}`).join('\n')
    if (text(own.headers) !== text(other.headers))
      return `headers ${JSON.stringify(own.headers)}, seen ${JSON.stringify(other.headers)}`
    return null
  }
  for (const [name, seen] of other.values ?? []) {
    const values = own.headers.filter(([n]) => n.toLowerCase() === name).map(([, v]) => v)
    if (values.length === 1 && values[0] !== seen) return `${name}: ${values[0]}, seen ${seen}`
    if (values.length === 0 && seen !== '') return `no ${name}, seen ${seen}`
  }
  return null
}

// --- replay ---

interface Recorded {
  readonly connection: unknown
  readonly request: SeenRequest
}

/** A reader as the origin of a replay. */
export interface RecordingOrigin {
  readonly name: string
  readonly url: URL
  /** Requests are told with all their header fields. */
  readonly tellsHeaders: boolean
  /** Everything understood since the last call, in order. */
  recorded(): Promise<Recorded[]>
  close(): Promise<void>
}

async function nodeOrigin(): Promise<RecordingOrigin> {
  let list: Recorded[] = []
  const server = await RecordingServer.listen(
    (connection, request) => list.push({ connection, request }),
    () => {},
  )
  return {
    name: 'node:http',
    tellsHeaders: true,
    url: new URL(`http://127.0.0.1:${server.port}`),
    recorded: async () => list.splice(0),
    close: async () => {
      list = []
      await server.close()
    },
  }
}

/** http-parser-js with sockets around it. */
async function parserJsOrigin(): Promise<RecordingOrigin> {
  const list: Recorded[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    const connection = new ParserJsConnection((request) => {
      list.push({ connection: socket, request })
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
    socket.on('data', (bytes) => {
      connection.take(bytes)
      if (connection.refusal !== null)
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    name: 'http-parser-js',
    tellsHeaders: true,
    url: new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}`),
    recorded: async () => list.splice(0),
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function nginxOrigin(nginx: NginxProgram, server: number): RecordingOrigin {
  return {
    name: 'nginx',
    tellsHeaders: false,
    url: new URL(`http://127.0.0.1:${nginx.ports[server]}`),
    recorded: async () => (await nginx.logged(server)).filter(({ status }) => status === '200'),
    close: async () => {},
  }
}

export interface Origins extends Readonly<Record<EngineName, readonly RecordingOrigin[]>> {
  close(): Promise<void>
}

/** Each reader as an origin, for each engine one; nginx where it is on PATH. */
export async function openOrigins(): Promise<Origins> {
  const nginx = nginxVersion() === null ? null : await NginxProgram.start(ENGINE_NAMES.length)
  const of = async (index: number) => [
    await nodeOrigin(),
    await parserJsOrigin(),
    ...(nginx === null ? [] : [nginxOrigin(nginx, index)]),
  ]
  const [wire, undici] = [await of(ENGINE_NAMES.indexOf('wire')), await of(ENGINE_NAMES.indexOf('undici'))]
  return {
    wire,
    undici,
    close: async () => {
      for (const origin of [...wire, ...undici]) await origin.close()
      await nginx?.close()
    },
  }
}

interface Sent {
  readonly taken: TakenRequest
  readonly stream: string
}

/** One engine and one origin: one connection at a time, requests and sentinels in turn. */
class Replay {
  readonly name: string
  private readonly engine: EngineName
  private readonly origin: RecordingOrigin
  private readonly counters = new CounterBlock()
  private readonly sink: ReplaySink
  private readonly drops = new Map<string, number>()
  private readonly outcomes = new Map<string, number>()

  private constructor(engine: EngineName, origin: RecordingOrigin, sink: (c: CounterBlock) => ReplaySink) {
    this.engine = engine
    this.name = `${engine} → ${origin.name}`
    this.origin = origin
    this.sink = sink(this.counters)
  }

  static async open(engine: EngineName, origin: RecordingOrigin): Promise<Replay> {
    const factory = await loadEngine(engine)
    const options = {
      ...REPLAY_DEFAULTS,
      origin: origin.url,
      engine,
      connections: 1,
      order: 'none',
      shed: false,
      circuitFailures: 1e9,
      // An origin that still waits has understood that more is to come: a difference.
      headersTimeoutMs: 5_000,
      requestTimeoutMs: 10_000,
    } as const
    const deps = {
      clock: new MonotonicClock(),
      random: () => 0.5,
      rateLimiter: null,
      engine: factory,
      connections: CONNECTIONS,
    }
    return new Replay(engine, origin, (counters) => new ReplaySink(options, counters, deps))
  }

  private index = 0

  take(view: MessageView, connection: ConnectionFacts): void {
    this.sink.request({ connection: connection.handle, stream: 0, index: this.index++ }, view)
  }

  /** When everything was given: compares what the origin understood with what was given, sentinels between. */
  async settle(sent: readonly Sent[], firstSentinel: number, report: Report): Promise<void> {
    await this.sink.drain(60_000)
    const outcomes = fresh(outcomesOf(this.counters), this.outcomes)
    const drops = fresh(dropsOf(this.counters), this.drops)
    const answered = outcomes.get('2xx') ?? 0
    const recorded = await this.origin.recorded()
    const tally = tallyOf(report.replayed, this.name)
    const differ = (what: string, { stream }: Sent) => report.differences.push({ reader: this.name, what, stream })
    const last = sent.at(-1)
    if (last === undefined) return

    let next = 0
    let understood = 0
    for (const [i, one] of sent.entries()) {
      const isSentinel = ({ request }: Recorded) => request.target === `${SENTINEL}${firstSentinel + i}`
      const between: Recorded[] = []
      while (next < recorded.length && !isSentinel(recorded[next]!)) between.push(recorded[next++]!)
      const marker = recorded[next]
      if (marker === undefined) {
        differ(
          `the sentinel behind it did not arrive; seen instead: ${between.map(shown).join(', ') || 'nothing'}`,
          one,
        )
        return
      }
      next++
      const expected = expectedAtOrigin(one.taken, CONNECTION, this.origin.url.host, this.engine)
      if (between.length > 1) differ(`seen as ${between.length} requests: ${between.map(shown).join(', ')}`, one)
      const seen = between[0]
      if (seen !== undefined) {
        understood++
        const what =
          expected === null ? `sent, though it should not be: ${shown(seen)}` : differs(expected, seen.request)
        if (what !== null) differ(what, one)
        else tally.same++
        if (seen.connection === marker.connection) count(report.sentinelsBehind, this.name)
      }
      const marked = expectedAtOrigin(parsedSentinel(firstSentinel + i), CONNECTION, this.origin.url.host, this.engine)!
      const wrong = differs(marked, marker.request)
      if (wrong !== null) differ(`the sentinel behind it was altered: ${wrong}`, one)
    }
    if (next < recorded.length) differ(`seen behind the last: ${recorded.slice(next).map(shown).join(', ')}`, last)

    // Whatever was not understood was refused, by us or by the origin, and said so.
    let refused = 0
    for (const [reason, n] of drops) {
      count(tally.refused, `not sent: ${reason}`, n)
      refused += n
    }
    for (const [outcome, n] of outcomes) {
      if (outcome === '2xx') continue
      count(tally.refused, `answered: ${outcome}`, n)
      refused += n
      if (outcome === 'timeout') differ(`the origin waited for more ${n} times`, last)
    }
    if (understood + refused !== sent.length)
      differ(`${sent.length} requests given, ${understood} understood, ${refused} refused`, last)
    if (answered !== recorded.length) differ(`${answered} answered with 2xx, ${recorded.length} understood`, last)
  }

  /** The origin stays. */
  async close(): Promise<void> {
    await this.sink.close()
  }
}

function shown({ request }: Recorded): string {
  return lineOf({ ...request, version: '', headers: [] })
}

/** What was added to the counts since the last call. */
function fresh(now: Record<string, number>, before: Map<string, number>): Map<string, number> {
  const added = new Map<string, number>()
  for (const [name, n] of Object.entries(now)) {
    if (n > (before.get(name) ?? 0)) added.set(name, n - (before.get(name) ?? 0))
    before.set(name, n)
  }
  return added
}

function parsedSentinel(id: number): TakenRequest {
  return readAsWeDo([Buffer.from(sentinel(id))]).verdicts[0] as TakenRequest
}

// --- both ---

export class Differential {
  readonly report = new Report()
  /** Name and version of each reader. */
  readonly readers: readonly string[]
  private readonly all: readonly Reader[]
  private readonly replays: readonly Replay[]
  private readonly closeAll: () => Promise<void>
  private lastSentinel = 0

  private constructor(readers: readonly Reader[], replays: readonly Replay[], closeAll: () => Promise<void>) {
    this.all = readers
    this.replays = replays
    this.closeAll = closeAll
    this.readers = readers.map(({ name, version }) => `${name} ${version}`)
  }

  /** nginx takes part where it is on PATH. */
  static async open(): Promise<Differential> {
    const readers: Reader[] = [await NodeHttpReader.open(), new ParserJsReader()]
    const version = nginxVersion()
    const nginx = version === null ? null : await NginxProgram.start(1)
    if (nginx !== null) readers.push(new NginxReader(nginx, 0, version!))
    const origins = await openOrigins()
    const replays: Replay[] = []
    for (const engine of ENGINE_NAMES)
      for (const origin of origins[engine]) replays.push(await Replay.open(engine, origin))
    return new Differential(readers, replays, async () => {
      await origins.close()
      await nginx?.close()
    })
  }

  /** @param streams of clients, latin-1 */
  async compare(streams: readonly string[]): Promise<void> {
    const { report } = this
    const sent: Sent[] = []
    const firstSentinel = this.lastSentinel + 1
    const whole = streams.map((stream) => Buffer.from(stream + sentinel(0), 'latin1'))
    const ours = whole.map((bytes, i) =>
      readAsWeDo([bytes], (view, connection, taken) => {
        if (taken.target.startsWith(SENTINEL)) return
        sent.push({ taken, stream: streams[i]! })
        for (const replay of this.replays) replay.take(view, connection)
        const marker = Buffer.from(sentinel(++this.lastSentinel))
        readAsWeDo([marker], (markerView) => {
          for (const replay of this.replays) replay.take(markerView, connection)
        })
      }),
    )
    for (const { verdicts } of ours) {
      report.streams++
      for (const verdict of verdicts)
        if (typeof verdict === 'string') count(report.dropped, verdict)
        else if (!verdict.target.startsWith(SENTINEL)) report.accepted++
    }
    await Promise.all(this.replays.map((replay) => replay.settle(sent, firstSentinel, report)))
    await Promise.all(
      this.all.map(async (reader) => {
        const readings = await reader.read(whole)
        const tally = tallyOf(report.captured, reader.name)
        readings.forEach((reading, i) => {
          const what = compareCaptured(ours[i]!, reading, reader.name, tally)
          if (what !== null) report.differences.push({ reader: reader.name, what, stream: streams[i]! })
        })
      }),
    )
  }

  async close(): Promise<void> {
    for (const replay of this.replays) await replay.close()
    for (const reader of this.all) await reader.close()
    await this.closeAll()
  }
}
