/** The thread behind harness.ts: mirror, origin and judge. */
import { parentPort, workerData } from 'node:worker_threads'
import { toPlainError } from '../base/errors.ts'
import type { Arrival } from './arrival.ts'
import type { Answer, HarnessState, HarnessThreadOptions, Order, SendOrder } from './harness.ts'
import { Judge } from './judge.ts'
import { MirrorSource } from './mirror-source.ts'
import { openOrigin } from './origin.ts'
import { SampleTraffic } from './traffic/sample-traffic.ts'

class HarnessThread {
  private readonly options: HarnessThreadOptions
  private readonly judge: Judge
  private readonly traffic: SampleTraffic
  private source: MirrorSource | null = null
  private firstPacketMs = 0
  private lastPacketMs = 0
  private lastArrivalMs = 0

  constructor(options: HarnessThreadOptions, originPort: number) {
    this.options = options
    this.judge = new Judge(`127.0.0.1:${originPort}`)
    this.traffic = new SampleTraffic(options.seed, {
      request: (request) => this.judge.sends(request),
      frame: (frame, vni) => this.source?.send(frame, vni),
    })
  }

  arrives(arrival: Arrival): void {
    this.lastArrivalMs = performance.now()
    this.judge.arrives(arrival)
  }

  async send({ requests, target, pace }: SendOrder): Promise<void> {
    this.source ??= await MirrorSource.open(target, new Int32Array(this.options.received))
    if (this.firstPacketMs === 0) this.firstPacketMs = performance.now()
    this.traffic.extend(requests)
    await this.source.pump(() => this.traffic.step(), pace)
    this.lastPacketMs = performance.now()
  }

  stop(): void {
    this.traffic.finish()
  }

  state(): HarnessState {
    return {
      verdict: this.judge.verdict(),
      tally: this.traffic.tally,
      packetsSent: this.source?.packetsSent ?? 0,
      sendingMs: Math.max(0, this.lastPacketMs - this.firstPacketMs),
      arrivingMs: Math.max(0, this.lastArrivalMs - this.firstPacketMs),
    }
  }
}

const port = parentPort!
const tell = (answer: Answer): void => port.postMessage(answer)
let thread: HarnessThread | null = null
const origin = await openOrigin((arrival) => thread?.arrives(arrival))
const harness = new HarnessThread(workerData as HarnessThreadOptions, origin.port)
thread = harness
port.on('message', (order: Order) => {
  if (order.kind === 'stop') harness.stop()
  else if (order.kind === 'state') tell({ kind: 'state', state: harness.state() })
  else {
    harness.send(order).then(
      () => tell({ kind: 'sent' }),
      (error: unknown) => tell({ kind: 'failed', error: toPlainError(error) }),
    )
  }
})
tell({ kind: 'ready', originPort: origin.port })
