/**
 * The chaos of a run: what is broken, when and for how long. Made from a seed, so that a run can be repeated.
 *
 *   | calm |      round 1       | calm |      round 2       | calm |
 *          origin track  [refuse]   [down        ]  [half]  …
 *          inner track [shard throw] [burst] [flood: syn]   …
 *
 * Two tracks, because what breaks outside and what breaks inside are independent: they overlap. In each round a track has every one
 * of its faults once, in an order of its own, each in a slot that also holds the time to recover. Calm is what is compared.
 */
import { Random } from '../../src/demo/traffic/random.ts'

export const ORIGIN_FAULTS = [
  'refuse',
  'reset',
  'silence',
  'drip',
  'garbage',
  'half body',
  'errors',
  'restart',
  'down',
] as const
export const THREAD_FAULTS = ['throw', 'exit', 'oom', 'spin'] as const
export const FLOODS = ['syn', 'ahead', 'random', 'tunnels', 'fragments'] as const

export type OriginFault = (typeof ORIGIN_FAULTS)[number]
export type Flood = (typeof FLOODS)[number]
export type Fault =
  | { readonly track: 'origin'; readonly kind: OriginFault }
  | {
      readonly track: 'inner'
      readonly kind: 'kill'
      readonly thread: 'shard' | 'receiver'
      readonly index: number
      readonly how: (typeof THREAD_FAULTS)[number]
    }
  | { readonly track: 'inner'; readonly kind: 'flood'; readonly flood: Flood }
  | { readonly track: 'inner'; readonly kind: 'burst' | 'stopped' | 'quiet' }

export interface ChaosEvent {
  readonly fault: Fault
  readonly startS: number
  readonly durationS: number
}

export interface Schedule {
  readonly seconds: number
  readonly events: readonly ChaosEvent[]
  /** How often every fault comes; between two rounds it is calm. */
  readonly rounds: number
}

const LEAST_CALM_S = 6
const MOST_CALM_S = 60
const CALM = 0.12
/** The last calm is longer: what is recovered is compared there. */
const LAST_CALM = 1.5
const ROUND_S = 300
/** Of a slot, at most. The rest is for recovery. */
const SHARE_OF_SLOT = 0.4
/** Seconds where there is time for them. */
const ORIGIN_S = [4, 8] as const
const DOWN_S = [20, 30] as const
const FLOOD_S = [3, 6] as const
const QUIET_S = [3, 10] as const
const BURST_S = 1
/** The process stands still while traffic comes five-fold: more than the receive buffer of the run holds. */
const STOPPED_S = 0.3
/** Being down is given three times the slot of the others. */
const DOWN_WEIGHT = 3

export function makeSchedule(seed: number, seconds: number, shards: number, receivers: number): Schedule {
  const random = new Random(seed)
  const first = Math.min(MOST_CALM_S, Math.max(LEAST_CALM_S, seconds * CALM))
  const active = seconds - first - first * LAST_CALM
  const rounds = Math.max(1, Math.floor(active / ROUND_S))
  const roundS = active / rounds
  const calmS = rounds === 1 ? 0 : roundS * CALM
  const events: ChaosEvent[] = []
  for (let round = 0; round < rounds; round++) {
    const fromS = first + round * roundS
    events.push(...track(random, originFaults(), fromS, roundS - calmS))
    events.push(...track(random, innerFaults(random, shards, receivers), fromS, roundS - calmS))
  }
  events.sort((a, b) => a.startS - b.startS)
  return { seconds, events, rounds }
}

function originFaults(): Fault[] {
  return ORIGIN_FAULTS.map((kind) => ({ track: 'origin', kind }))
}

function innerFaults(random: Random, shards: number, receivers: number): Fault[] {
  const kills = (thread: 'shard' | 'receiver', count: number): Fault[] =>
    THREAD_FAULTS.map((how) => ({ track: 'inner', kind: 'kill', thread, index: random.below(count), how }))
  return [
    ...kills('shard', shards),
    ...(receivers > 1 ? kills('receiver', receivers) : []),
    ...FLOODS.map((flood): Fault => ({ track: 'inner', kind: 'flood', flood })),
    { track: 'inner', kind: 'burst' },
    { track: 'inner', kind: 'stopped' },
    { track: 'inner', kind: 'quiet' },
  ]
}

function track(random: Random, faults: Fault[], fromS: number, seconds: number): ChaosEvent[] {
  shuffle(random, faults)
  const weight = (fault: Fault) => (fault.kind === 'down' ? DOWN_WEIGHT : 1)
  const slotS = seconds / faults.reduce((sum, fault) => sum + weight(fault), 0)
  let atS = fromS
  return faults.map((fault) => {
    const ownS = slotS * weight(fault)
    const durationS = Math.min(lengthOf(random, fault), ownS * SHARE_OF_SLOT)
    // Not on the beat: what goes wrong does not wait for a full second.
    const startS = atS + (random.below(1000) / 1000) * 0.2 * ownS
    atS += ownS
    return { fault, startS: rounded(startS), durationS: rounded(durationS) }
  })
}

function lengthOf(random: Random, fault: Fault): number {
  const between = ([least, most]: readonly [number, number]) => least + (random.below(1000) / 1000) * (most - least)
  switch (fault.kind) {
    case 'down':
      return between(DOWN_S)
    case 'kill':
      return 0
    case 'flood':
      return between(FLOOD_S)
    case 'burst':
      return BURST_S
    case 'stopped':
      return STOPPED_S
    case 'quiet':
      return between(QUIET_S)
    case 'restart':
      return 0.5
    default:
      return between(ORIGIN_S)
  }
}

function shuffle<T>(random: Random, list: T[]): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const kept = list[i]!
    list[i] = list[j]!
    list[j] = kept
  }
}

function rounded(seconds: number): number {
  return Math.round(seconds * 100) / 100
}

/** As the report says it. */
export function nameOf(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
      return `${fault.thread} ${fault.index}: ${fault.how}`
    case 'flood':
      return `flood: ${fault.flood}`
    case 'stopped':
      return 'process stopped, burst ×5'
    case 'burst':
      return 'burst ×5'
    case 'quiet':
      return 'no traffic'
    default:
      return `origin: ${fault.kind}`
  }
}
