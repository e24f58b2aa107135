/** Carries out a schedule against a running service, and tells when each event was over and when its traces were. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from '../support/service.ts'
import type { StrictOrigin, TrafficSource } from './children.ts'
import type { Reading } from './reading.ts'
import { type ChaosEvent, type Fault, nameOf } from './schedule.ts'

export interface EventRecord {
  readonly name: string
  readonly fault: Fault
  /** As it was, not as it was planned. */
  readonly startS: number
  endS: number | null
  /** All is as before. */
  recoveredS: number | null
  /** From its end to then, at most. */
  boundS: number
}

/** What the service's log said of the end of a thread. */
export interface Death {
  readonly seconds: number
  readonly words: string
}

/** Looks come once a second or so, and a machine may have other things to do. */
const SLACK_S = 10
/** docs/replay.md: the circuit breaker waits so long at most. */
const LONGEST_BACKOFF_S = 15
/** Health turns good after five good checks, one a second; up to sixty where it turned bad again within a minute (src/report/health.ts). */
const HEALTH_S = 60
/** Supervision: a loop without end is noticed after 1.4 s, and a thread is back in less than 2 s; twice that. */
const RESTART_S = 4
const BURST = 5
const FLOOD = 3
/** Health looks at the counters once a second. */
const HEALTH_LAG_S = 1.5

export class Chaos {
  readonly records: EventRecord[] = []
  /** Deaths that the service's log tells of, by `shard 0`, `receiver 1`. */
  readonly deaths = new Map<string, number>()
  readonly deathWords: Death[] = []
  private readonly service: Service
  private readonly origin: StrictOrigin
  private readonly source: TrafficSource
  private readonly rate: number
  private readonly seconds: () => number
  private readonly seed: number
  private readonly configured: { readonly shard: number; readonly receiver: number }
  private readonly say: (line: string) => void
  private readonly deathsBefore = new Map<EventRecord, number>()

  constructor(order: {
    service: Service
    origin: StrictOrigin
    source: TrafficSource
    rate: number
    seed: number
    configured: { readonly shard: number; readonly receiver: number }
    seconds: () => number
    say: (line: string) => void
  }) {
    this.service = order.service
    this.origin = order.origin
    this.source = order.source
    this.rate = order.rate
    this.seed = order.seed
    this.configured = order.configured
    this.seconds = order.seconds
    this.say = order.say
    // The log beside the reader that waits for the start.
    let rest = ''
    this.service.child.stderr!.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.readLog(line)
    })
  }

  get kills(): number {
    return this.records.filter(({ fault }) => fault.kind === 'kill').length
  }

  /** Resolves when the last event is over. @param signal ends it early */
  async run(events: readonly ChaosEvent[], signal: AbortSignal): Promise<void> {
    const running: Promise<void>[] = []
    for (const event of events) {
      await sleep(Math.max(0, (event.startS - this.seconds()) * 1000), undefined, { signal })
      const carriedOut = this.carryOut(event, signal)
      // Awaited at the end: what fails before must not end the run from outside.
      carriedOut.catch(() => {})
      running.push(carriedOut)
    }
    await Promise.all(running)
  }

  /** Marks what has recovered by this reading. @param earlier the one before it: what lies between is what is looked at */
  look(reading: Reading, earlier: Reading): void {
    for (const record of this.records) {
      if (record.endS === null || record.recoveredS !== null || earlier.seconds < record.endS) continue
      if (!this.hasRecovered(record, reading, earlier)) continue
      record.recoveredS = reading.seconds
      this.say(`${record.name}: recovered ${(reading.seconds - record.endS).toFixed(1)} s after its end`)
    }
  }

  /** Whether an event or its traces touch this time, widened by so much on both sides. */
  touches(fromS: number, toS: number, marginS: number): boolean {
    return this.records.some(({ startS, endS, recoveredS }) => {
      const untilS = endS === null || recoveredS === null ? Number.POSITIVE_INFINITY : Math.max(endS, recoveredS)
      return fromS <= untilS + marginS && toS >= startS - marginS
    })
  }

  private hasRecovered(record: EventRecord, now: Reading, before: Reading): boolean {
    const { fault } = record
    const isAnswering = () => (now.outcomes['2xx'] ?? 0) > (before.outcomes['2xx'] ?? 0)
    switch (fault.kind) {
      case 'kill':
        return (
          (this.deaths.get(`${fault.thread} ${fault.index}`) ?? 0) > this.deathsBefore.get(record)! &&
          (fault.thread === 'shard' ? now.workersRunning : now.receiversRunning) === this.configured[fault.thread]
        )
      case 'flood':
      case 'burst':
      case 'stopped':
      case 'quiet': {
        const lag = fault.kind === 'stopped' || fault.kind === 'burst' ? HEALTH_LAG_S : 0
        return (
          now.seconds >= record.endS! + lag &&
          now.health.isGood &&
          roomDrops(now) === roomDrops(before) &&
          now.parsed > before.parsed
        )
      }
      default:
        return isAnswering() && failures(now) === failures(before) && now.circuitsOpen === 0
    }
  }

  private async carryOut({ fault, durationS }: ChaosEvent, signal: AbortSignal): Promise<void> {
    const record: EventRecord = {
      name: nameOf(fault),
      fault,
      startS: this.seconds(),
      endS: null,
      recoveredS: null,
      boundS: boundOf(fault, durationS),
    }
    this.records.push(record)
    this.say(`${record.name}${durationS > 0 ? ` for ${durationS} s` : ''}`)
    const pause = () => sleep(durationS * 1000, undefined, { signal })
    switch (fault.kind) {
      case 'kill': {
        const thread = `${fault.thread} ${fault.index}`
        this.deathsBefore.set(record, this.deaths.get(thread) ?? 0)
        const url = `${this.service.admin}/debug/fault?${fault.thread}=${fault.index}&kind=${fault.how}`
        const answer = await fetch(url, { method: 'POST' })
        if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`)
        break
      }
      case 'flood':
        this.source.order({
          flood: {
            kind: fault.flood,
            packetsPerSecond: this.rate * FLOOD,
            seconds: durationS,
            seed: this.seed + this.records.length,
          },
        })
        await pause()
        break
      case 'burst':
        this.source.order({ rate: this.rate * BURST })
        await pause()
        this.source.order({ rate: this.rate })
        break
      case 'stopped':
        this.source.order({ rate: this.rate * BURST })
        this.service.child.kill('SIGSTOP')
        try {
          await pause()
        } finally {
          this.service.child.kill('SIGCONT')
        }
        this.source.order({ rate: this.rate })
        break
      case 'quiet':
        this.source.order({ rate: 0 })
        await pause()
        this.source.order({ rate: this.rate })
        break
      default:
        this.origin.setMode(fault.kind)
        await pause()
        this.origin.setMode('ok')
    }
    record.endS = this.seconds()
    // Without traffic nothing can be seen to work again.
    if (fault.kind === 'quiet')
      for (const other of this.records) if (other.recoveredS === null) other.boundS += durationS
  }

  private readLog(line: string): void {
    const died = /"msg":"(?:worker|receiver) (\d+) died/.exec(line)
    if (died === null) return
    const thread = `${line.includes('"msg":"receiver') ? 'receiver' : 'shard'} ${died[1]}`
    this.deaths.set(thread, (this.deaths.get(thread) ?? 0) + 1)
    const { msg = '' } = JSON.parse(line) as { msg?: string }
    this.deathWords.push({ seconds: this.seconds(), words: msg.split('; what it held')[0]! })
    this.say(msg.split('; what it held')[0]!)
  }
}

/** From the end of an event to the last of its traces. */
function boundOf(fault: Fault, durationS: number): number {
  switch (fault.kind) {
    case 'kill':
      return RESTART_S + SLACK_S
    case 'flood':
    case 'burst':
    case 'stopped':
    case 'quiet':
      return HEALTH_S + SLACK_S
    default:
      // A pause of the breaker began before the end of the fault and is at most as long as the fault was.
      return Math.min(LONGEST_BACKOFF_S, durationS) + SLACK_S
  }
}

export function roomDrops({ packetsDropped, kernelDropped }: Reading): number {
  return (packetsDropped.ringFull ?? 0) + (packetsDropped.shed ?? 0) + kernelDropped
}

/** Requests that did not come to an answer of 2xx, and not because a thread that held them died. */
function failures({ outcomes, requestsDropped }: Reading): number {
  const failed = Object.entries(outcomes).reduce((sum, [outcome, n]) => (outcome === '2xx' ? sum : sum + n), 0)
  return failed + (requestsDropped.circuitOpen ?? 0) + (requestsDropped.queueFull ?? 0)
}
