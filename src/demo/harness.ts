/**
 * The main thread's hold on the world around mirrorshard in a demo: the mirror that sends the sample traffic, the origin that
 * replay goes to, and the judge who knows both. They run in a thread of their own (harness-thread.ts), so that the main thread
 * does what it does in production and nothing else.
 */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { MirrorError, type PlainError, toPlainError } from '../base/errors.ts'
import type { Verdict } from './judge.ts'
import type { MirrorTarget, Pace } from './mirror-source.ts'
import type { Tally } from './traffic/tally.ts'

/** How far things are. */
export interface HarnessState {
  readonly verdict: Verdict
  readonly tally: Tally
  readonly packetsSent: number
  /** Milliseconds from the first packet sent to the last one, and to the last request that arrived. */
  readonly sendingMs: number
  readonly arrivingMs: number
}

export interface HarnessThreadOptions {
  readonly seed: number
  /** One Int32: packets received so far, modulo 2^32. Written by the main thread. */
  readonly received: SharedArrayBuffer
}

export interface SendOrder {
  readonly kind: 'send'
  readonly target: MirrorTarget
  readonly pace: Pace
  /** Further requests; Infinity: until stopped. */
  readonly requests: number
}

export type Order = SendOrder | { readonly kind: 'stop' } | { readonly kind: 'state' }

export type Answer =
  | { readonly kind: 'ready'; readonly originPort: number }
  /** Everything that was ordered is sent. */
  | { readonly kind: 'sent' }
  | { readonly kind: 'state'; readonly state: HarnessState }
  | { readonly kind: 'failed'; readonly error: PlainError }

interface Asked {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: MirrorError) => void
}

export class DemoHarness {
  private readonly worker: Worker
  private readonly received: Int32Array
  private readonly asked = new Map<Answer['kind'], Asked[]>()
  private failure: MirrorError | null = null
  private port = 0

  private constructor(seed: number) {
    const received = new SharedArrayBuffer(4)
    this.received = new Int32Array(received)
    this.worker = new Worker(threadFile(), { workerData: { seed, received } satisfies HarnessThreadOptions })
    this.worker.on('message', (answer: Answer) => this.take(answer))
    this.worker.on('error', (error) => this.fail(toPlainError(error)))
  }

  /** @throws MirrorError when the thread or its origin cannot start */
  static async start(seed: number): Promise<DemoHarness> {
    const harness = new DemoHarness(seed)
    try {
      const ready = await harness.answer('ready')
      harness.port = ready.originPort
    } catch (error) {
      await harness.close()
      throw error
    }
    return harness
  }

  /** Of the origin, on 127.0.0.1. */
  get originPort(): number {
    return this.port
  }

  /** Tells the sender how many packets were received so far, so that it never has more under way than the buffer holds. */
  acknowledge(packetsReceived: number): void {
    Atomics.store(this.received, 0, packetsReceived | 0)
  }

  /** Sends more of the traffic. Resolves when it is all sent. @param requests Infinity: until `stopSending` */
  async send(requests: number, target: MirrorTarget, pace: Pace): Promise<void> {
    this.order({ kind: 'send', requests, target, pace })
    await this.answer('sent')
  }

  /** Opens no more connections and brings those under way to their end. */
  stopSending(): void {
    this.order({ kind: 'stop' })
  }

  async state(): Promise<HarnessState> {
    this.order({ kind: 'state' })
    return (await this.answer('state')).state
  }

  async close(): Promise<void> {
    await this.worker.terminate()
  }

  private order(order: Order): void {
    this.worker.postMessage(order)
  }

  /** The next answer of this kind. */
  private answer<K extends Answer['kind']>(kind: K): Promise<Answer & { kind: K }> {
    return new Promise((resolve, reject) => {
      if (this.failure !== null) return reject(this.failure)
      const asked = { resolve: resolve as Asked['resolve'], reject }
      this.asked.set(kind, [...(this.asked.get(kind) ?? []), asked])
    })
  }

  private take(answer: Answer): void {
    if (answer.kind === 'failed') this.fail(answer.error)
    else this.asked.get(answer.kind)?.shift()?.resolve(answer)
  }

  private fail({ message }: PlainError): void {
    const failure = new MirrorError('ERR_INTERNAL', `the demo's sender and origin failed: ${message}`)
    this.failure = failure
    for (const list of this.asked.values()) for (const { reject } of list.splice(0)) reject(failure)
  }
}

/** Threads run from the build: Node 20 loads no TypeScript in them. */
function threadFile(): string {
  const isBuilt = new URL(import.meta.url).pathname.includes('/dist/')
  return fileURLToPath(
    new URL(isBuilt ? '../../src/demo/harness-thread.js' : '../../dist/src/demo/harness-thread.js', import.meta.url),
  )
}
