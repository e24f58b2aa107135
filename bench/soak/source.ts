/**
 * The mirror of a soak, a process of its own: the bench's cycle of keep-alive traffic pass after pass, at a rate that can be
 * changed at any time, and floods between its packets.
 *
 *   source.js PORT CONNECTIONS
 *
 * Each line it reads is an order (JSON, SourceOrder). It prints what it has sent so far (JSON, Sent) once a second, and a last
 * time after `stop`, when every connection that was opened is closed.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type PartName, partsOf } from '../pipeline/cycle-parts.ts'
import { type DatagramSender, openSender, type Sequence } from '../pipeline/datagram-sender.ts'
import { MIRROR_SEED, type MirrorCycle, makeCycle, REQUESTS_PER_CONNECTION, renumber } from '../support/mirror-cycle.ts'
import { Schedule as Pace } from '../support/pacing.ts'
import { floodDatagrams } from './floods.ts'
import type { Flood } from './schedule.ts'

export interface SourceOrder {
  /** Packets per second of the real traffic from now on; 0: none. */
  readonly rate?: number
  readonly flood?: {
    readonly kind: Flood
    readonly packetsPerSecond: number
    readonly seconds: number
    readonly seed: number
  }
  readonly stop?: boolean
}

export interface Sent {
  /** Floods included. */
  readonly packets: number
  readonly floodPackets: number
  /** Sent to their last byte. */
  readonly requests: number
  /** Passes begun. */
  readonly passes: number
  readonly cpuSeconds: number
  /** Schedule given up because this process came too late. */
  readonly slippedMs: number
  readonly isLast: boolean
}

const TICK_MS = 2
const MOST_BEHIND_MS = 50
const MOST_PER_BATCH = 1024
const TELL_MS = 1_000

interface RunningFlood {
  readonly sender: DatagramSender
  readonly sequence: Sequence
  readonly pace: Pace
  readonly untilMs: number
  next: number
}

class SoakSource {
  private readonly cycle: MirrorCycle
  private readonly port: number
  private readonly parts: ReturnType<typeof partsOf>
  private rate = 0
  private pace = new Pace(0, performance.now(), MOST_BEHIND_MS)
  private part: PartName = 'opening'
  private pass = 0
  private next = 0
  private isStopping = false
  private isDone = false
  private floods: RunningFlood[] = []
  private packets = 0
  private floodPackets = 0
  private slippedMs = 0

  constructor(cycle: MirrorCycle, sender: DatagramSender, port: number) {
    this.cycle = cycle
    this.port = port
    this.parts = partsOf(cycle, sender)
  }

  async obey({ rate, flood, stop }: SourceOrder): Promise<void> {
    if (rate !== undefined) this.setRate(rate)
    if (flood !== undefined) await this.beginFlood(flood)
    if (stop === true) {
      // What is open is closed, even where no traffic was asked for just now.
      if (this.rate === 0) this.setRate(1_000)
      this.isStopping = true
    }
  }

  async run(): Promise<void> {
    let toldMs = performance.now()
    while (!this.isDone) {
      await this.sendDue()
      for (const flood of this.floods) await this.sendFlood(flood)
      const nowMs = performance.now()
      this.floods = this.floods.filter((flood) => {
        if (nowMs < flood.untilMs) return true
        flood.sender.close()
        return false
      })
      if (nowMs - toldMs >= TELL_MS) {
        toldMs = nowMs
        this.tell()
      }
      await sleep(TICK_MS)
    }
    this.tell()
  }

  private setRate(rate: number): void {
    this.slippedMs += this.pace.slippedMs
    this.rate = rate
    this.pace = new Pace(rate, performance.now(), MOST_BEHIND_MS)
  }

  private async beginFlood({
    kind,
    packetsPerSecond,
    seconds,
    seed,
  }: NonNullable<SourceOrder['flood']>): Promise<void> {
    const datagrams = floodDatagrams(kind, seed)
    const sender = await openSender(datagrams)
    await sender.connect(this.port)
    const nowMs = performance.now()
    this.floods.push({
      sender,
      sequence: sender.sequence(Int32Array.from({ length: datagrams.offsets.length - 1 }, (_, i) => i)),
      pace: new Pace(packetsPerSecond, nowMs, MOST_BEHIND_MS),
      untilMs: nowMs + seconds * 1000,
      next: 0,
    })
  }

  private async sendFlood(flood: RunningFlood): Promise<void> {
    for (;;) {
      const room = flood.sequence.length - flood.next
      const count = Math.min(flood.pace.due(performance.now()), MOST_PER_BATCH, room)
      if (count === 0) return
      await flood.sequence.send(flood.next, count)
      flood.pace.took(count)
      flood.next = (flood.next + count) % flood.sequence.length
      this.packets += count
      this.floodPackets += count
    }
  }

  private async sendDue(): Promise<void> {
    const { cycle } = this
    while (!this.isDone) {
      const { order, sequence } = this.parts[this.part]
      const count = Math.min(this.pace.due(performance.now()), MOST_PER_BATCH, order.length - this.next)
      if (count === 0) {
        if (this.next < order.length) return
        this.endPart()
        continue
      }
      for (let i = this.next; i < this.next + count; i++) renumber(cycle, order[i]!, this.pass)
      const sending = sequence.send(this.next, count)
      if (sending !== undefined) await sending
      this.pace.took(count)
      this.next += count
      this.packets += count
    }
  }

  /** A pass is finished as it was begun: only then is it known that no connection is cut. */
  private endPart(): void {
    this.next = 0
    if (this.part === 'closing') {
      this.isDone = true
      return
    }
    this.pass++
    this.part = this.isStopping ? 'closing' : 'all'
  }

  private tell(): void {
    const { user, system } = process.cpuUsage()
    const passes = this.isDone ? this.pass : this.pass + 1
    const sent: Sent = {
      packets: this.packets,
      floodPackets: this.floodPackets,
      requests: this.pass * this.cycle.requests,
      passes,
      cpuSeconds: (user + system) / 1e6,
      slippedMs: this.slippedMs + this.pace.slippedMs,
      isLast: this.isDone,
    }
    writeSync(1, `${JSON.stringify(sent)}\n`)
  }
}

const [port = '', connections = ''] = process.argv.slice(2)
const cycle = makeCycle(MIRROR_SEED, Number(connections), REQUESTS_PER_CONNECTION)
const sender = await openSender(cycle)
await sender.connect(Number(port))
const source = new SoakSource(cycle, sender, Number(port))
const input = createInterface(process.stdin)
input.on('line', (line) => {
  source.obey(JSON.parse(line) as SourceOrder).catch((error) => {
    process.stderr.write(`${(error as Error).stack}\n`)
    process.exit(1)
  })
})
// Whoever gave orders is gone.
input.on('close', () => process.exit(1))
await source.run()
process.exit(0)
