/** The two processes around the one that is tested: they take orders as lines of JSON and answer so. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { owned } from '../support/children.ts'
import { stop } from '../support/processes.ts'
import type { OriginMode, OriginTold } from './origin.ts'
import type { Sent, SourceOrder } from './source.ts'

class LineChild {
  readonly child: ChildProcess
  private readonly waiting: ((line: string) => void)[] = []
  private failure: Error | null = null
  private readonly failures: ((error: Error) => void)[] = []

  constructor(script: string, args: readonly string[], onLine: ((line: string) => void) | null) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    this.child = owned(spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] }))
    this.child.stdin!.on('error', () => {})
    createInterface(this.child.stdout!).on('line', (line) => {
      if (onLine !== null) onLine(line)
      else this.waiting.shift()?.(line)
    })
    this.child.once('exit', (code, signal) => {
      this.failure = new Error(`${script} ended with ${code ?? signal}; what it said stands above`)
      for (const reject of this.failures) reject(this.failure)
    })
  }

  order(order: object): void {
    this.child.stdin!.write(`${JSON.stringify(order)}\n`)
  }

  answer(): Promise<string> {
    if (this.failure !== null) return Promise.reject(this.failure)
    return new Promise((resolve, reject) => {
      this.waiting.push(resolve)
      this.failures.push(reject)
    })
  }

  /** Rejects when it ends. */
  ended(): Promise<never> {
    if (this.failure !== null) return Promise.reject(this.failure)
    return new Promise((_, reject) => {
      this.failures.push(reject)
    })
  }
}

export class StrictOrigin {
  readonly url: string
  private readonly child: LineChild

  private constructor(child: LineChild, port: number) {
    this.child = child
    this.url = `http://127.0.0.1:${port}`
  }

  static async open(connections: number): Promise<StrictOrigin> {
    const child = new LineChild('origin.js', [String(connections)], null)
    const { port } = JSON.parse(await child.answer()) as { port: number }
    return new StrictOrigin(child, port)
  }

  setMode(mode: OriginMode): void {
    this.child.order({ mode })
  }

  async tell(): Promise<OriginTold> {
    this.child.order({ tell: true })
    return JSON.parse(await this.child.answer()) as OriginTold
  }

  async close(): Promise<void> {
    await stop(this.child.child)
  }
}

export class TrafficSource {
  /** As it told last. */
  sent: Sent | null = null
  private readonly child: LineChild
  private readonly last: Promise<Sent>

  constructor(port: number, connections: number) {
    let resolveLast: (sent: Sent) => void
    const last = new Promise<Sent>((resolve) => {
      resolveLast = resolve
    })
    this.child = new LineChild('source.js', [String(port), String(connections)], (line) => {
      this.sent = JSON.parse(line) as Sent
      if (this.sent.isLast) resolveLast(this.sent)
    })
    this.last = Promise.race([last, this.child.ended()])
    // Awaited later: what fails before must not end the run from outside.
    this.last.catch(() => {})
  }

  order(order: SourceOrder): void {
    this.child.order(order)
  }

  /** Finishes what it has begun. */
  finish(): Promise<Sent> {
    this.order({ stop: true })
    return this.last
  }

  async close(): Promise<void> {
    await stop(this.child.child)
  }
}
