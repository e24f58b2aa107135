/** The real `run` process, an origin that writes down what it is asked, and a sender at a steady rate: all on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { openSender } from '../../../bench/pipeline/datagram-sender.ts'
import {
  CLIENT_NETWORK,
  FRAME_DESTINATION_ADDRESS,
  FRAME_SOURCE_ADDRESS,
  keepAliveFrames,
  type TrafficSize,
} from '../../../bench/support/keep-alive-traffic.ts'
import { parseMetrics, type Samples } from '../../../bench/support/prometheus.ts'
import type { Summary } from '../../../src/report/summary.ts'
import { MAIN } from './main.ts'

const START_LIMIT_MS = 30_000
const END_LIMIT_MS = 45_000

/** A folder for a test's files, and what is to be ended after it, whatever happened. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'mirrorshard-faults-'))
  private readonly ends: (() => unknown)[] = [() => rmSync(this.folder, { recursive: true, force: true })]

  atEnd(end: () => unknown): void {
    this.ends.push(end)
  }

  async end(): Promise<void> {
    for (const end of this.ends.reverse()) await end()
  }
}

export interface Origin {
  readonly url: string
  /** X-Request-Id of every request, in order of arrival. */
  readonly arrived: string[]
  /** Whole head lines, as they came: method and headers. */
  readonly hosts: (string | undefined)[]
  readonly methods: (string | undefined)[]
}

/** @param delayMs before each answer; null: it never answers */
export async function openOrigin(bench: Bench, delayMs: number | null = 0): Promise<Origin> {
  const origin = { url: '', arrived: [] as string[], hosts: [] as (string | undefined)[], methods: [] as string[] }
  const server: Server = createServer((request, response) => {
    origin.arrived.push(String(request.headers['x-request-id']))
    origin.hosts.push(request.headers.host)
    origin.methods.push(request.method ?? '')
    request.resume()
    if (delayMs === null) return
    request.on('end', () => (delayMs === 0 ? response.end('ok') : setTimeout(() => response.end('ok'), delayMs)))
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  bench.atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  origin.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return origin
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly afterMs: number
}

export class Live {
  readonly child: ChildProcess
  /** Everything it wrote to stderr, line by line. */
  readonly said: string[] = []
  port = 0
  admin = ''
  private readonly summaryPath: string
  private readonly ended: Promise<Ended>
  private readonly startedMs = performance.now()

  private constructor(bench: Bench, args: readonly string[], options: LiveOptions) {
    this.summaryPath = join(bench.folder, `summary-${Math.random().toString(36).slice(2)}.json`)
    const { MIRRORSHARD_CONFIG: _, ...inherited } = process.env
    this.child = spawn(
      process.execPath,
      [...(options.node ?? []), MAIN, 'run', ...args, '--summary', this.summaryPath],
      {
        stdio: ['ignore', 'ignore', options.stderr ?? 'pipe'],
        env: { ...inherited, MIRRORSHARD_FAULTS: '1', ...options.env },
      },
    )
    bench.atEnd(() => this.child.kill('SIGKILL'))
    this.ended = new Promise((resolve) =>
      this.child.once('exit', (code, signal) => resolve({ code, signal, afterMs: performance.now() - this.startedMs })),
    )
    if (this.child.stderr !== null)
      createInterface(this.child.stderr).on('line', (line) => {
        this.said.push(line)
      })
  }

  /** Started, and receiving. @throws Error with what it said */
  static async open(bench: Bench, args: readonly string[], options: LiveOptions = {}): Promise<Live> {
    const live = Live.spawn(bench, args, options)
    const entry = (await live.line('receiving', START_LIMIT_MS)) as { listen: string[]; admin: string | null }
    live.port = Number(entry.listen[0]!.split(':').at(-1))
    live.admin = `http://${entry.admin}`
    return live
  }

  /** Only started. */
  static spawn(bench: Bench, args: readonly string[], options: LiveOptions = {}): Live {
    return new Live(bench, args, options)
  }

  /** The log entry with this message, when it has come. @param from lines before it are passed over */
  async line(message: string, limitMs = 15_000, from = 0): Promise<Record<string, unknown>> {
    const untilMs = performance.now() + limitMs
    for (;;) {
      for (const line of this.said.slice(from)) {
        const entry = parse(line)
        if (typeof entry?.msg === 'string' && entry.msg.startsWith(message)) return entry
      }
      if (performance.now() > untilMs || this.child.exitCode !== null)
        throw new Error(`no line ${JSON.stringify(message)}, exit code ${this.child.exitCode}: ${this.said.join('\n')}`)
      await sleep(5)
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Resolves when it has ended. @throws Error when it does not */
  async end(limitMs = END_LIMIT_MS): Promise<Ended> {
    const late = sleep(limitMs, undefined, { ref: false }).then(() => {
      throw new Error(`still there after ${limitMs} ms: ${this.said.join('\n')}`)
    })
    return await Promise.race([this.ended, late])
  }

  /** SIGTERM, and its last summary. */
  async finish(): Promise<Summary> {
    this.signal('SIGTERM')
    const { code } = await this.end()
    expect(code, this.said.join('\n')).toBe(0)
    return this.summary()
  }

  hasSummary(): boolean {
    return existsSync(this.summaryPath) && readFileSync(this.summaryPath, 'utf8') !== ''
  }

  /** As written at its end. */
  summary(): Summary {
    return JSON.parse(readFileSync(this.summaryPath, 'utf8')) as Summary
  }

  async metrics(): Promise<Samples> {
    return parseMetrics(await (await fetch(`${this.admin}/metrics`)).text())
  }

  /** Every thread that was asked for is in its loop. */
  async isComplete(): Promise<boolean> {
    const samples = await this.metrics()
    return ['workers', 'receivers'].every(
      (what) =>
        samples.get(`mirrorshard_${what}{state="running"}`) === samples.get(`mirrorshard_${what}{state="configured"}`),
    )
  }

  async health(): Promise<{ readonly status: number; readonly reason: string }> {
    const answer = await fetch(`${this.admin}/healthz`)
    return { status: answer.status, reason: (await answer.text()).trim() }
  }

  async break(query: string): Promise<void> {
    const answer = await fetch(`${this.admin}/debug/fault?${query}`, { method: 'POST' })
    expect(await answer.text().then((text) => `${answer.status} ${text}`)).toMatch(/^200 /)
  }
}

export interface LiveOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Options for Node itself. */
  readonly node?: readonly string[]
  /** A descriptor instead of a pipe. */
  readonly stderr?: number
}

export const ANY_PORT = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'] as const

/** Frames of whole keep-alive connections in VXLAN datagrams, and a sender for them. */
export class Traffic {
  readonly packets: number
  readonly requests: number
  /** Sent so far, by calls that the kernel did not refuse. */
  sent = 0
  /** Requests among them: each is whole in one segment. */
  requestsSent = 0
  private readonly isRequest: readonly boolean[]
  private readonly bytes: Buffer
  private readonly offsets: Int32Array

  constructor(seed: number, size: TrafficSize) {
    const frames = [...keepAliveFrames(seed, size)].map((frame) => {
      // A network of clients for each seed: connections that are sent one after the other are different ones.
      const isFromClient = frame[FRAME_SOURCE_ADDRESS] === CLIENT_NETWORK
      frame[(isFromClient ? FRAME_SOURCE_ADDRESS : FRAME_DESTINATION_ADDRESS) + 1] = seed & 255
      return Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0, 7, 0]), frame])
    })
    this.packets = frames.length
    this.isRequest = frames.map((frame) => frame.includes('X-Request-Id: '))
    this.requests = size.connections * size.requestsPerConnection
    this.offsets = new Int32Array(frames.length + 1)
    for (const [i, frame] of frames.entries()) this.offsets[i + 1] = this.offsets[i]! + frame.length
    this.bytes = Buffer.from(new SharedArrayBuffer(this.offsets.at(-1)!))
    for (const [i, frame] of frames.entries()) frame.copy(this.bytes, this.offsets[i]!)
  }

  /** All of it once. @param perSecond packets; null: as fast as this thread can @param goesOn false ends it */
  async send(port: number, perSecond: number | null, goesOn: () => boolean = () => true): Promise<void> {
    const sender = await openSender({ bytes: this.bytes, offsets: this.offsets })
    await sender.connect(port)
    const sequence = sender.sequence(Int32Array.from({ length: this.packets }, (_, i) => i))
    const startedMs = performance.now()
    for (let at = 0; at < this.packets && goesOn(); ) {
      const due =
        perSecond === null ? this.packets : Math.floor(((performance.now() - startedMs) / 1000) * perSecond) + 1
      const count = Math.min(BATCH, this.packets - at, due - at)
      if (count > 0) {
        try {
          await sequence.send(at, count)
          this.sent += count
          for (let i = at; i < at + count; i++) if (this.isRequest[i]) this.requestsSent++
        } catch {
          // Refused: nobody has the port. The error is of an earlier datagram.
        }
        at += count
      }
      if (count < BATCH || (perSecond === null && at % YIELD === 0)) await sleep(1)
    }
    sender.close()
  }
}

const BATCH = 64
const YIELD = 1024

function parse(line: string): Record<string, unknown> | null {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return null
  }
}
