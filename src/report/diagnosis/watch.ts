/**
 * Follows a service: keeps readings of the last minute, and says when something turns wrong. Time comes from the readings.
 *
 *   a finding is told when it appears, and again each minute while it lasts; one that comes and goes is told once a minute
 */
import { diagnose } from './diagnose.ts'
import type { Finding, Setup, Silence } from './finding.ts'
import { answersIn, between, type Reading } from './reading.ts'

/** What is judged: long enough for a handshake, a request and its answer. */
export const WINDOW_MS = 8_000
/** The first judgement. */
const FIRST_MS = 5_000
/** Where nothing came in that time, as far back as this: mirrors of quiet services. */
const LONGEST_WINDOW_MS = 60_000
const AGAIN_MS = 60_000
/** Readings nearer to each other are not kept: who asks all the time makes no more of them. */
const LEAST_APART_MS = 500

export interface Diagnosis {
  /** The worst severity of its findings. */
  readonly status: 'ok' | 'note' | 'warning' | 'wrong'
  readonly findings: readonly Finding[]
  readonly uptimeSeconds: number
  /** What came in the last `windowSeconds`, which the findings are about. */
  readonly windowSeconds: number
  readonly window: Omit<Reading, 'ms'>
  /** What came since the start. */
  readonly total: Omit<Reading, 'ms'>
}

export class Watch {
  private readonly start: Reading
  /** Oldest first. */
  private readonly readings: Reading[]
  /** The last that was taken, kept or not. */
  private seen: Reading
  /** When the last of each came. */
  private readonly last: { packet: number; request: number; answer: number }
  /** Code → when it was told last. */
  private readonly told = new Map<string, number>()

  constructor(start: Reading) {
    this.start = start
    this.readings = [start]
    this.seen = start
    this.last = { packet: start.ms, request: start.ms, answer: start.ms }
  }

  get latest(): Reading {
    return this.seen
  }

  /** Takes over a reading, once a second or so. @returns what is to be told now */
  look(reading: Reading, setup: Setup): Finding[] {
    this.add(reading)
    if (reading.ms - this.start.ms < FIRST_MS) return []
    const due = diagnose(this.before(), reading, this.silence(), setup).filter(
      ({ code, severity }) =>
        severity !== 'note' && reading.ms - (this.told.get(code) ?? Number.NEGATIVE_INFINITY) >= AGAIN_MS,
    )
    for (const { code } of due) this.told.set(code, reading.ms)
    return due
  }

  /** What is wrong at this moment, told or not. */
  diagnosis(reading: Reading, setup: Setup): Diagnosis {
    this.add(reading)
    const before = this.before()
    const findings = diagnose(before, reading, this.silence(), setup)
    const { ms, ...window } = between(before, reading)
    const { ms: _, ...total } = between({ ...EMPTY, kernel: this.start.kernel }, reading)
    return {
      status: findings[0]?.severity ?? 'ok',
      findings,
      uptimeSeconds: (reading.ms - this.start.ms) / 1000,
      windowSeconds: ms / 1000,
      window,
      total,
    }
  }

  private add(reading: Reading): void {
    const { latest, last } = this
    if (reading.packets.received > latest.packets.received) last.packet = reading.ms
    if (reading.requests.parsed > latest.requests.parsed) last.request = reading.ms
    if (answered(reading) > answered(latest)) last.answer = reading.ms
    this.seen = reading
    if (reading.ms - this.readings.at(-1)!.ms < LEAST_APART_MS) return
    this.readings.push(reading)
    // One that is older than the longest window stays, as where that begins.
    while (this.readings.length > 2 && this.readings[1]!.ms <= reading.ms - LONGEST_WINDOW_MS) this.readings.shift()
  }

  private silence(): Silence {
    const { latest, last } = this
    return { packetMs: latest.ms - last.packet, requestMs: latest.ms - last.request, answerMs: latest.ms - last.answer }
  }

  /** Where the window begins: the youngest reading that is old enough, or an older one where no packet came since. */
  private before(): Reading {
    const { readings, latest } = this
    let i = readings.length - 1
    while (i > 0 && readings[i]!.ms > latest.ms - WINDOW_MS) i--
    while (i > 0 && readings[i]!.packets.received === latest.packets.received) i--
    return readings[i]!
  }
}

function answered({ requests }: Reading): number {
  return answersIn(requests.replayed)
}

/** A reading of nothing. */
export const EMPTY: Reading = {
  ms: 0,
  packets: { received: 0, tcp: 0, other: 0, truncated: 0, truncatedHere: 0, kernelDropped: 0, dropped: {} },
  refused: { vnis: {}, sources: {}, tcpPorts: {}, formats: {}, datagramBytes: {} },
  passedOver: {},
  flows: { opened: 0 },
  protocols: {},
  skippedBytes: { otherProtocol: 0, resyncUnproven: 0 },
  requests: { parsed: 0, dropped: {}, replayed: {}, held: 0, waiting: 0 },
  responses: { parsed: 0 },
  kernel: null,
}
