/**
 * Capture files through the built program: what `inspect` shows of them is what an origin understands of their replay, request for request,
 * with the documented changes and nothing else. Requests of different connections come in any order; none comes twice, none is of our making.
 *
 *   npm run build && npm run test:differential:captures -- FILE…
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionFacts } from '../../src/exchange/connection.ts'
import { ENGINE_NAMES, type EngineName } from '../../src/sinks/replay/engine.ts'
import { factsOf } from '../support/exchanges.ts'
import { openOrigins, type RecordingOrigin } from './differential.ts'
import { expectedAtOrigin } from './documented-changes.ts'
import { escaped } from './escaped.ts'
import type { SeenRequest } from './readers/reader.ts'

const PROGRAM = 'dist/src/main.js'
/** One reading of each file: without worker threads, and of overlaps that differ the same bytes each time. */
const COMMON = ['--workers', '0', '--overlap', 'first']

interface Shown {
  readonly src: string
  readonly dst: string
  readonly method: string | null
  readonly uri: string
  readonly version: string
  readonly headers: [string, string][]
  readonly body: string | null
}

function inspected(file: string): Shown[] {
  const text = execFileSync(process.execPath, [PROGRAM, 'inspect', file, ...COMMON, '--bodies', 'base64'], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Shown).filter(({ method }) => method !== null)
}

/** Requests by outcome. */
type Outcomes = Readonly<Record<string, number>>

const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-captures-'))

function replayed(file: string, origin: URL, engine: EngineName): Promise<Outcomes> {
  const summary = join(folder, 'summary.json')
  const args = [...COMMON, '--to', origin.href, '--engine', engine, '--speed', 'max', '--connections', '4']
  const child = spawn(process.execPath, [PROGRAM, 'replay', file, ...args, '--summary', summary], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('close', (code) => {
      // 1: nothing was answered, or there was nothing to answer.
      if (code !== 0 && code !== 1) reject(new Error(`${file}: exit status ${code}: ${said.slice(-500)}`))
      else
        resolve((JSON.parse(readFileSync(summary, 'utf8')) as { requests: { replayed: Outcomes } }).requests.replayed)
    })
  })
}

function connectionOf({ src, dst }: Shown): ConnectionFacts {
  const split = (endpoint: string) => {
    const [, address, port] = /^\[?(.*?)\]?:(\d+)$/.exec(endpoint)!
    return [address!, Number(port)] as const
  }
  const [clientAddress, clientPort] = split(src)
  const [serverAddress, serverPort] = split(dst)
  return factsOf({ clientAddress, clientPort, serverAddress, serverPort })
}

/** What a reader tells of a request, as one text that is equal where the request is. */
function fingerprint(request: Omit<SeenRequest, 'values'>, tellsHeaders: boolean): string {
  const headers = tellsHeaders ? request.headers!.map(([name, value]) => `${name}: ${value}`).join('\n') : ''
  const body = createHash('sha256').update(request.body).digest('hex')
  return `${request.method} ${request.target}\n${headers}\n${body}`
}

const files = process.argv.slice(2)
if (files.length === 0) {
  console.error('usage: npm run test:differential:captures -- FILE…')
  process.exit(2)
}

let requests = 0
let understood = 0
let refused = 0
const differences: string[] = []

async function compare(
  file: string,
  shown: readonly Shown[],
  engine: EngineName,
  origin: RecordingOrigin,
): Promise<void> {
  const expected = new Map<string, number>()
  for (const one of shown) {
    const body = Buffer.from(one.body ?? '', 'base64')
    const taken = { method: one.method!, target: one.uri, version: one.version, headers: one.headers, body }
    const due = expectedAtOrigin(taken, connectionOf(one), origin.url.host, engine)
    if (due === null) continue
    const key = fingerprint(due, origin.tellsHeaders)
    expected.set(key, (expected.get(key) ?? 0) + 1)
  }
  const outcomes = await replayed(file, origin.url, engine)
  const answered = outcomes['2xx'] ?? 0
  const recorded = await origin.recorded()
  const where = `${file}: ${engine} → ${origin.name}`
  for (const { request } of recorded) {
    const key = fingerprint(request, origin.tellsHeaders)
    const left = expected.get(key) ?? 0
    if (left === 0) differences.push(`${where}: understood, and not in the capture: ${escaped(key.slice(0, 600))}`)
    expected.set(key, left - 1)
  }
  if (recorded.length !== answered) differences.push(`${where}: ${answered} answered, ${recorded.length} understood`)
  if (outcomes.timeout) differences.push(`${where}: the origin waited for more, ${outcomes.timeout} times`)
  requests += shown.length
  understood += recorded.length
  refused += shown.length - recorded.length
}

const origins = await openOrigins()
for (const file of files) {
  const shown = inspected(file)
  for (const engine of ENGINE_NAMES) for (const origin of origins[engine]) await compare(file, shown, engine, origin)
}
await origins.close()
rmSync(folder, { recursive: true, force: true })
console.log(
  `${files.length} captures, ${ENGINE_NAMES.length} engines, origins ${origins[ENGINE_NAMES[0]!].map(({ name }) => name).join(', ')}: ` +
    `${requests} requests, ${understood} understood as they were captured, ${refused} not sent or refused whole, ${differences.length} different`,
)
for (const difference of differences.slice(0, 20)) console.log(`  ${difference}`)
process.exitCode = differences.length === 0 ? 0 : 1
