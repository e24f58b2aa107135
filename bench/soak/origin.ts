/**
 * The strict origin of a soak, a process of its own: it knows every request that may come, holds each against it byte for byte,
 * and misbehaves when told to.
 *
 *   origin.js CONNECTIONS
 *
 * Prints its port (JSON) when it listens. Each line it reads is an order: {"mode": MODE}, or {"tell": true}, which is answered by
 * what it has seen so far (JSON, OriginTold). Ends with its input.
 */
import { writeSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { freePort } from '../support/free-port.ts'
import { KnownRequests, type Verdict } from './known-requests.ts'
import type { OriginFault } from './schedule.ts'

export type OriginMode = 'ok' | OriginFault

export interface OriginTold {
  /** Requests that came whole. */
  readonly arrived: number
  /** Of those the different ones. */
  readonly distinct: number
  /** Came again although they may: idempotent, a second time. */
  readonly again: number
  /** Came again although they must not. */
  readonly twice: number
  readonly altered: number
  readonly invented: number
  /** Connections that ended inside a request. */
  readonly cut: number
  /** Answers written whole, by class. */
  readonly answers: { readonly '2xx': number; readonly '5xx': number }
  /** One more than the highest pass a request came from. */
  readonly passes: number
  readonly connections: number
  readonly rssMb: number
  /** What was wrong first. */
  readonly example: string | null
}

const OK = Buffer.from('HTTP/1.1 200 OK\r\nServer: soak\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n')
const ERROR = Buffer.from('HTTP/1.1 503 Service Unavailable\r\nServer: soak\r\nContent-Length: 5\r\n\r\nbusy\n')
const HALF = Buffer.from(`HTTP/1.1 200 OK\r\nServer: soak\r\nContent-Length: 100\r\n\r\n${'h'.repeat(50)}`)
const GARBAGE = Buffer.from('\u0000\u0001 this is no HTTP at all \r\r\n\n\r\n')
const DRIP_MS = 30
const HEAD_END = Buffer.from('\r\n\r\n')
const RESTART_MS = 300

const ONCE = 1
const AGAIN = 2

class Origin {
  private readonly known: KnownRequests
  private readonly port: number
  private readonly open = new Set<Socket>()
  private server: Server | null = null
  private mode: OriginMode = 'ok'
  /** How often each request came, by its number. */
  private times = new Uint8Array(1 << 16)
  private readonly told = {
    arrived: 0,
    distinct: 0,
    again: 0,
    twice: 0,
    altered: 0,
    invented: 0,
    cut: 0,
    passes: 0,
    connections: 0,
  }
  private readonly answers = { '2xx': 0, '5xx': 0 }
  private example: string | null = null

  constructor(known: KnownRequests, port: number) {
    this.known = known
    this.port = port
  }

  async setMode(mode: OriginMode): Promise<void> {
    this.mode = mode
    const isAway = mode === 'refuse' || mode === 'down' || mode === 'restart'
    if (isAway) await this.goAway()
    else if (this.server === null) await this.listen()
    if (mode === 'restart') {
      setTimeout(() => {
        if (this.mode !== 'restart') return
        this.mode = 'ok'
        this.listen().catch(fail)
      }, RESTART_MS)
    }
    // Those that were left without an answer stay so: the client's time-outs are part of the fault.
  }

  listen(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.accept(socket))
    this.server = server
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, '127.0.0.1', 1024, resolve)
    })
  }

  tell(): OriginTold {
    return {
      ...this.told,
      answers: this.answers,
      rssMb: process.memoryUsage.rss() / 1e6,
      example: this.example,
    }
  }

  private goAway(): Promise<void> {
    const { server } = this
    this.server = null
    return new Promise((resolve) => {
      if (server === null) return resolve()
      server.close(() => resolve())
      for (const socket of this.open) socket.destroy()
    })
  }

  private accept(socket: Socket): void {
    this.told.connections++
    this.open.add(socket)
    let input: Buffer = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('close', () => {
      this.open.delete(socket)
      if (input.length > 0) this.told.cut++
    })
    socket.on('data', (chunk: Buffer) => {
      input = input.length === 0 ? chunk : Buffer.concat([input, chunk])
      for (;;) {
        const taken = this.takeRequest(input)
        if (taken === 0) return
        input = input.subarray(taken)
        this.answer(socket)
      }
    })
  }

  /** @returns its length; 0 while it is not whole */
  private takeRequest(input: Buffer): number {
    const headEnd = input.indexOf(HEAD_END)
    if (headEnd < 0) return 0
    const [requestLine = '', ...fields] = input.toString('latin1', 0, headEnd).split('\r\n')
    const lengths = fields.filter((field) => /^content-length:/i.test(field))
    const bodyAt = headEnd + HEAD_END.length
    const end = bodyAt + Number(lengths[0]?.slice('content-length:'.length) ?? 0)
    if (input.length < end) return 0
    this.told.arrived++
    this.note(this.known.judge({ requestLine, fields, body: input.toString('latin1', bodyAt, end) }))
    return end
  }

  private note(verdict: Verdict): void {
    if (verdict.is !== 'known') {
      this.told[verdict.is]++
      this.example ??= `${verdict.is}: ${verdict.why}`
      return
    }
    const { number, isIdempotent } = verdict
    if (number >= this.times.length) {
      const more = new Uint8Array(Math.max(number + 1, this.times.length * 2))
      more.set(this.times)
      this.times = more
    }
    this.told.passes = Math.max(this.told.passes, Math.floor(number / this.known.perPass) + 1)
    const times = Math.min(255, this.times[number]! + 1)
    this.times[number] = times
    if (times === ONCE) this.told.distinct++
    else if (times === AGAIN && isIdempotent) this.told.again++
    else {
      this.told.twice++
      this.example ??= `came ${times} times: request ${number}`
    }
  }

  private answer(socket: Socket): void {
    switch (this.mode) {
      case 'ok':
        this.answers['2xx']++
        socket.write(OK)
        return
      case 'errors':
        this.answers['5xx']++
        socket.write(ERROR)
        return
      case 'reset':
        socket.resetAndDestroy()
        return
      case 'silence':
        return
      case 'drip':
        this.drip(socket)
        return
      case 'garbage':
        socket.end(GARBAGE)
        return
      case 'half body':
        socket.end(HALF)
        return
      default:
        socket.destroy()
    }
  }

  /** Byte by byte; counted when the last one is written. */
  private drip(socket: Socket): void {
    let sent = 0
    const timer = setInterval(() => {
      if (socket.destroyed) {
        clearInterval(timer)
        return
      }
      socket.write(OK.subarray(sent, sent + 1))
      if (++sent < OK.length) return
      clearInterval(timer)
      this.answers['2xx']++
    }, DRIP_MS)
  }
}

function fail(error: Error): void {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
}

// One port for the whole run: an origin that comes back is found where it was.
const port = await freePort()
const origin = new Origin(new KnownRequests(Number(process.argv[2]), `127.0.0.1:${port}`), port)
await origin.listen()
writeSync(1, `${JSON.stringify({ port })}\n`)
const input = createInterface(process.stdin)
input.on('line', (line) => {
  const order = JSON.parse(line) as { mode?: OriginMode; tell?: boolean }
  if (order.mode !== undefined) origin.setMode(order.mode).catch(fail)
  if (order.tell === true) writeSync(1, `${JSON.stringify(origin.tell())}\n`)
})
input.on('close', () => process.exit(0))
