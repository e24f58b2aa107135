/** What a line on the terminal says of a run: losses first, then rates since the last look, outcomes, what waits. */
import { count } from '../base/plural.ts'
import { fitParts, type Part } from './fit-parts.ts'
import { leftOutCount, lossText } from './losses.ts'
import { type Totals, total } from './totals.ts'
import { divided, FAILED_OUTCOMES, named } from './verdict.ts'

/** Rates are of the time since the last text. */
export class LiveText {
  private lastMs = performance.now()
  private lastPackets = 0
  private lastRequests = 0

  text(totals: Totals, width: number): string {
    const now = performance.now()
    const seconds = Math.max(0.001, (now - this.lastMs) / 1000)
    const packets = totals.get('packetsReceived')
    const requests = totals.requestsEnded()
    const text = liveText(totals, (packets - this.lastPackets) / seconds, (requests - this.lastRequests) / seconds, width) // biome-ignore format: one line
    this.lastMs = now
    this.lastPackets = packets
    this.lastRequests = requests
    return text
  }
}

/** Rates per second. */
export function liveText(totals: Totals, packetRate: number, requestRate: number, width: number): string {
  const held = totals.requestsHeld()
  const leftOut = leftOutCount(totals)
  return fitParts(
    [
      lossText(totals, width) || (totals.get('packetsReceived') > 0 ? 'nothing lost' : 'no packets yet'),
      `${count(Math.round(packetRate))} packets/s`,
      `${count(Math.round(requestRate))} requests/s`,
      ...answeredParts(totals.outcomes()),
      ...(held > 0 ? [`${count(held)} waiting`] : []),
      ...(leftOut > 0 ? [`${count(leftOut)} left out`] : []),
      ...(totals.latency().count > 0 ? [`p99 ${totals.latency().ms(0.99).toFixed(1)} ms`] : []),
    ],
    width,
  )
}

/** Of what was answered: with the classes where there is room. Failures stand with the losses. */
function answeredParts(outcomes: Readonly<Record<string, number>>): Part[] {
  const [, good] = divided(outcomes, FAILED_OUTCOMES)
  const names = Object.keys(good)
  if (names.length === 0) return []
  const answered = count(total(good))
  if (names.every((name) => name === 'null')) return [`${answered} discarded`]
  return [[`${answered} answered (${named(good)})`, `${answered} answered`]]
}

/** What a drain still has, how long it may take, and whom it waits for. */
interface DrainWords {
  readonly time: string
  readonly waiting: string
  readonly held: string
  /** Null: for nobody. */
  readonly whom: string | null
}

function drainWords(totals: Totals, secondsLeft: number | null, origin: string | null): DrainWords {
  const queued = totals.get('replayQueued')
  const inFlight = totals.get('replayInFlight')
  const packets = totals.packetsInRings()
  const toRead = packets > 0 ? `${count(packets)} packets to read, ` : ''
  const isWaiting = queued + inFlight > 0
  return {
    time: secondsLeft === null ? 'draining' : `draining, ${Math.max(0, Math.ceil(secondsLeft))} s left`,
    waiting: `${toRead}${count(queued)} queued, ${count(inFlight)} in flight`,
    held: `${count(queued + inFlight)} held`,
    whom:
      origin === null || !isWaiting
        ? null
        : isDown(totals)
          ? `${origin} does not answer`
          : `waiting for answers of ${origin}`,
  }
}

/** One sentence for the log. @param secondsLeft null: without a limit @param origin null: nothing is sent */
export function drainSentence(totals: Totals, secondsLeft: number | null, origin: string | null): string {
  const { time, waiting, whom } = drainWords(totals, secondsLeft, origin)
  return `${time}: ${waiting}${whom === null ? '' : `; ${whom}`}`
}

/** The same for one row: an origin that does not answer stands first. */
export function drainLine(totals: Totals, secondsLeft: number | null, origin: string | null, width: number): string {
  const { time, waiting, held, whom } = drainWords(totals, secondsLeft, origin)
  const lost = lossText(totals, width)
  const parts: Part[] = [time, [waiting, held], ...(lost === '' ? [] : [lost])]
  if (whom !== null) parts.splice(isDown(totals) ? 0 : 2, 0, whom)
  return fitParts(parts, width)
}

/** The circuit breaker of a shard is open. */
export function isDown(totals: Totals): boolean {
  return totals.get('circuitOpen') > 0
}
