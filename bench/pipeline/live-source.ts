/**
 * The mirror of the live benches, a process of its own: keep-alive traffic as VXLAN datagrams at a set rate, in whole passes
 * over a prepared cycle.
 *
 *   live-source.js CONNECTIONS   prints what its cycle is, as JSON; then each line it reads is an order
 *   live-source.js ORDER         carries out one order
 *
 * An order (JSON) is answered by `sending` and, when everything has left, by what was sent, as JSON. Ends with its input.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import {
  connectionsFor,
  MIRROR_SEED,
  type MirrorCycle,
  makeCycle,
  REQUESTS_PER_CONNECTION,
  renumber,
} from '../support/mirror-cycle.ts'
import { Schedule } from '../support/pacing.ts'
import { type PartName, partsOf } from './cycle-parts.ts'
import { type DatagramSender, openSender } from './datagram-sender.ts'

export interface LiveReady {
  readonly kind: DatagramSender['kind']
  readonly datagramsPerPass: number
  readonly requestsPerPass: number
  readonly bytesPerDatagram: number
}

export interface LiveOrder {
  readonly port: number
  /** null: as fast as it goes. */
  readonly packetsPerSecond: number | null
  /** At least so long at that rate; the pass under way is finished, and what it opened is closed. */
  readonly seconds: number
}

export interface LiveSent {
  readonly kind: DatagramSender['kind']
  readonly packets: number
  readonly requests: number
  readonly passes: number
  readonly seconds: number
  /** User and system time of the sender, the delivery into the receiver's socket buffer included: loopback does that here. */
  readonly cpuSeconds: number
  /** Schedule given up because the sender could not keep up. */
  readonly slippedMs: number
}

const TICK_MS = 1
const MOST_BEHIND_MS = 20
/** As many as the kernel takes in one call. */
const MOST_PER_BATCH = 1024

class Mirror {
  private readonly cycle: MirrorCycle
  private readonly sender: DatagramSender
  private readonly parts: ReturnType<typeof partsOf>
  private readonly sleeper = new Int32Array(new SharedArrayBuffer(4))
  /** Goes on from order to order: five-tuples stay fresh. */
  private pass = 0

  constructor(cycle: MirrorCycle, sender: DatagramSender) {
    this.cycle = cycle
    this.sender = sender
    this.parts = partsOf(cycle, sender)
  }

  ready(): LiveReady {
    const { wraps, requests, bytes } = this.cycle
    return {
      kind: this.sender.kind,
      datagramsPerPass: wraps.length,
      requestsPerPass: requests,
      bytesPerDatagram: bytes.length / wraps.length,
    }
  }

  async carryOut(order: LiveOrder): Promise<LiveSent> {
    const perSecond = order.packetsPerSecond ?? Number.POSITIVE_INFINITY
    const perPass = this.cycle.wraps.length
    await this.sender.connect(order.port)
    writeSync(1, 'sending\n')
    const cpuBefore = process.cpuUsage()
    const startedMs = performance.now()
    const untilMs = startedMs + order.seconds * 1000
    const schedule = new Schedule(perSecond, startedMs, MOST_BEHIND_MS)
    let passes = 0
    do {
      await this.sendPass(passes === 0 ? 'opening' : 'all', schedule)
      passes++
      this.pass++
    } while (performance.now() + (perPass / perSecond) * 500 < untilMs)
    await this.sendPass('closing', schedule)
    this.pass++
    const seconds = (performance.now() - startedMs) / 1000
    const cpu = process.cpuUsage(cpuBefore)
    this.sender.close()
    return {
      kind: this.sender.kind,
      packets: passes * perPass,
      requests: passes * this.cycle.requests,
      passes,
      seconds,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      slippedMs: schedule.slippedMs,
    }
  }

  private async sendPass(part: PartName, schedule: Schedule): Promise<void> {
    const { cycle, pass } = this
    const { order, sequence } = this.parts[part]
    for (let next = 0; next < order.length; ) {
      const nowMs = performance.now()
      const count = Math.min(schedule.due(nowMs), MOST_PER_BATCH, order.length - next)
      if (count === 0) {
        // The event loop is not needed while an order is carried out, and this wakes up more exactly than a timer.
        Atomics.wait(this.sleeper, 0, 0, TICK_MS - (nowMs % TICK_MS))
        continue
      }
      for (let i = next; i < next + count; i++) renumber(cycle, order[i]!, pass)
      const sending = sequence.send(next, count)
      if (sending !== undefined) await sending
      schedule.took(count)
      next += count
    }
  }
}

const [argument = ''] = process.argv.slice(2)
const single = argument.startsWith('{') ? (JSON.parse(argument) as LiveOrder) : null
const connections = single === null ? Number(argument) : connectionsFor(single.packetsPerSecond)
const cycle = makeCycle(MIRROR_SEED, connections, REQUESTS_PER_CONNECTION)
const mirror = new Mirror(cycle, await openSender(cycle))
const answer = (value: object) => writeSync(1, `${JSON.stringify(value)}\n`)
if (single !== null) answer(await mirror.carryOut(single))
else {
  answer(mirror.ready())
  for await (const line of createInterface(process.stdin)) answer(await mirror.carryOut(JSON.parse(line) as LiveOrder))
}
