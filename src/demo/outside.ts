/**
 * The world around mirrorshard in a demo, in a thread of its own: the mirror that sends the sample traffic, the origin that
 * replay goes to, and the judge who knows both. The main thread does what it does in production and nothing else.
 */
import { fileURLToPath } from 'node:url'
import { type MessagePort, Worker } from 'node:worker_threads'
import { MirrorError, type PlainError, toPlainError } from '../base/errors.ts'
import { Judge, type Verdict } from './judge.ts'
import { type MirrorTarget, MirrorSource, type Pace } from './mirror-source.ts'
import { openOrigin } from './origin.ts'
import { SampleTraffic } from './traffic/sample-traffic.ts'
import type { Tally } from './traffic/tally.ts'

/** Of the traffic until the verdict; `withoutEnd` goes on after it. */
export interface OutsideOptions {
  readonly seed: number
  readonly requests: number
}

/** How far things are. */
export interface OutsideState {
  readonly verdict: Verdict
  readonly tally: Tally
  readonly packetsSent: number
  /** Milliseconds from the first packet sent to the last, and to the last request that arrived. */
  readonly sendingMs: number
  readonly arrivingMs: number
}

interface ThreadOptions extends OutsideOptions {
  readonly received: SharedArrayBuffer
}

type Order =
  | { readonly kind: 'send'; readonly target: MirrorTarget; readonly pace: Pace; readonly withoutEnd: boolean }
  | { readonly kind: 'stop' }
  | { readonly kind: 'state' }
  | { readonly kind: 'close' }

type Answer =
  | { readonly kind: 'ready'; readonly originPort: number }
  /** All packets were sent, or sending was stopped. */
  | { readonly kind: 'sent' }
  | { readonly kind: 'state'; readonly state: OutsideState }
  | { readonly kind: 'failed'; readonly error: PlainError }

/** Sets another stream of traffic apart from the first: its connections are others. */
const SECOND_SEED = 1

/** The main thread's hold on it. */
export class Outside {
  readonly originPort: number
  private readonly worker: Worker
  private readonly received: Int32Array<SharedArrayBuffer>
  private failure: MirrorError | null = null
  private readonly waiting = new Map<Answer['kind'], ((answer: Answer) => void)[]>()
  private readonly failures: ((error: MirrorError) => void)[] = []

  private constructor(worker: Worker, received: SharedArrayBuffer, originPort: number) {
    this.worker = worker
    this.received = new Int32Array(received)
    this.originPort = originPort
    worker.on('message', (answer: Answer) => this.take(answer))
    worker.on('error', (error) => this.fail(toPlainError(error)))
  }

  /** @throws MirrorError ERR_LISTEN when the origin has no port */
  static start(options: OutsideOptions): Promise<Outside> {
    const received = new SharedArrayBuffer(4)
    const worker = new Worker(threadFile(), { workerData: { ...options, received } satisfies ThreadOptions })
    return new Promise((resolve, reject) => {
      worker.once('error', reject)
      worker.once('message', (answer: Answer) => {
        worker.off('error', reject)
        if (answer.kind === 'ready') resolve(new Outside(worker, received, answer.originPort))
        else reject(new MirrorError('ERR_LISTEN', `the demo's origin: ${answer.kind === 'failed' ? answer.error.message : answer.kind}`))
      })
    })
  }

  /** Tells the sender how many packets were received so far, so that it never has more under way than the buffer holds. */
  acknowledge(packetsReceived: number): void {
    Atomics.store(this.received, 0, packetsReceived | 0)
  }

  /** Resolves when all is sent, or with `withoutEnd` when it was stopped. */
  async send(target: MirrorTarget, pace: Pace, withoutEnd = false): Promise<void> {
    await this.ask({ kind: 'send', target, pace, withoutEnd }, 'sent')
  }

  /** Lets connections that are under way come to their end, opens no more, and ends sending. */
  stopSending(): void {
    this.order({ kind: 'stop' })
  }

  async state(): Promise<OutsideState> {
    const answer = await this.ask({ kind: 'state' }, 'state')
    return (answer as Answer & { kind: 'state' }).state
  }

  async close(): Promise<void> {
    this.order({ kind: 'close' })
    await this.worker.terminate()
  }

  private ask(order: Order, kind: Answer['kind']): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.failure !== null) return reject(this.failure)
      this.waiting.set(kind, [...(this.waiting.get(kind) ?? []), resolve])
      this.failures.push(reject)
      this.order(order)
    })
  }

  private order(order: Order): void {
    this.worker.postMessage(order)
  }

  private take(answer: Answer): void {
    if (answer.kind === 'failed') this.fail(answer.error)
    else this.waiting.get(answer.kind)?.shift()?.(answer)
  }

  private fail(error: PlainError): void {
    this.failure = new MirrorError('ERR_INTERNAL', `the demo's sender and origin failed: ${error.message}`)
    for (const reject of this.failures.splice(0)) reject(this.failure)
  }
}

/** The thread's side. */
export async function runOutside(options: ThreadOptions, port: MessagePort): Promise<void> {
  const tell = (answer: Answer) => port.postMessage(answer)
  let judge: Judge | null = null
  let lastArrivalMs = 0
  const origin = await openOrigin((arrival) => {
    lastArrivalMs = performance.now()
    judge?.arrives(arrival)
  })
  const theJudge = new Judge(`127.0.0.1:${origin.port}`)
  judge = theJudge
  let source: MirrorSource | null = null
  let traffic: SampleTraffic | null = null
  let first: { startedMs: number; endedMs: number } | null = null

  const send = async ({ target, pace, withoutEnd }: Order & { kind: 'send' }): Promise<void> => {
    const mirror: MirrorSource = source ?? (await MirrorSource.open(target, new Int32Array(options.received)))
    source = mirror
    const made = new SampleTraffic(
      withoutEnd ? { seed: options.seed + SECOND_SEED, requests: Number.POSITIVE_INFINITY } : options,
      { request: (request) => theJudge.sends(request), frame: (frame, vni) => mirror.send(frame, vni) },
    )
    traffic = made
    const startedMs = performance.now()
    first ??= { startedMs, endedMs: startedMs }
    const times = first
    await mirror.pump(
      () => {
        times.endedMs = performance.now()
        return made.step()
      },
      pace,
    )
    tell({ kind: 'sent' })
  }

  const failed = (error: unknown): void => tell({ kind: 'failed', error: toPlainError(error) })
  port.on('message', (order: Order) => {
    if (order.kind === 'send') send(order).catch(failed)
    else if (order.kind === 'stop') traffic?.finish()
    else if (order.kind === 'state' && traffic !== null) {
      const startedMs = first?.startedMs ?? 0
      tell({
        kind: 'state',
        state: {
          verdict: theJudge.verdict(),
          tally: traffic.tally,
          packetsSent: source?.packetsSent ?? 0,
          sendingMs: (first?.endedMs ?? 0) - startedMs,
          arrivingMs: Math.max(0, lastArrivalMs - startedMs),
        },
      })
    } else if (order.kind === 'close') source?.close()
  })
  tell({ kind: 'ready', originPort: origin.port })
}

/** Threads run from the build: Node 20 loads no TypeScript in them. */
function threadFile(): string {
  const isBuilt = new URL(import.meta.url).pathname.includes('/dist/')
  return fileURLToPath(new URL(isBuilt ? './outside-thread.js' : '../../dist/src/demo/outside-thread.js', import.meta.url))
}
