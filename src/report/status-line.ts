/** One line on a terminal that follows a live run: rates since the last look, outcomes, drops. Nothing where nobody watches. */
import { count, plural } from '../base/plural.ts'
import type { Totals } from './totals.ts'
import { total } from './totals.ts'

const EVERY_MS = 1000

export class StatusLine {
  private readonly stream: NodeJS.WriteStream
  private readonly timer: NodeJS.Timeout | null
  private lastMs = performance.now()
  private lastPackets = 0
  private lastRequests = 0
  private isShown = false

  constructor(stream: NodeJS.WriteStream, totals: () => Totals) {
    this.stream = stream
    this.timer = stream.isTTY ? setInterval(() => this.show(totals()), EVERY_MS) : null
    this.timer?.unref()
  }

  /** Takes the line away, for text that stays. */
  clear(): void {
    if (this.isShown) this.stream.write('\r\x1b[K')
    this.isShown = false
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.clear()
  }

  private show(totals: Totals): void {
    const now = performance.now()
    const seconds = (now - this.lastMs) / 1000
    const packets = totals.get('packetsReceived')
    const requests = totals.requestsEnded()
    const text = statusText(totals, (packets - this.lastPackets) / seconds, (requests - this.lastRequests) / seconds)
    this.lastMs = now
    this.lastPackets = packets
    this.lastRequests = requests
    this.stream.write(`\r\x1b[K${text.slice(0, (this.stream.columns ?? 120) - 1)}`)
    this.isShown = true
  }
}

/** The line's text. Rates per second. */
export function statusText(totals: Totals, packetRate: number, requestRate: number): string {
  const outcomes = Object.entries(totals.outcomes()).map(([name, n]) => `${name} ${count(n)}`)
  const lost = totals.packetsDropped() + totals.get('kernelDropped')
  const held = totals.requestsHeld()
  const drops = [
    ...(lost > 0 ? [`${plural(lost, 'packet')} dropped`] : []),
    ...(totals.get('gaps') > 0 ? [plural(totals.get('gaps'), 'gap')] : []),
    ...(total(totals.requestDrops()) > 0 ? [`${plural(total(totals.requestDrops()), 'request')} dropped`] : []),
  ]
  const parts = [
    `${count(Math.round(packetRate))} packets/s`,
    `${count(Math.round(requestRate))} requests/s`,
    outcomes.length > 0 ? outcomes.join(' ') : held > 0 ? 'no answers yet' : 'no requests yet',
    ...(held > 0 ? [`${count(held)} waiting`] : []),
    drops.length > 0 ? drops.join(', ') : 'nothing dropped',
    ...(totals.latency().count > 0 ? [`p99 ${totals.latency().ms(0.99).toFixed(1)} ms`] : []),
  ]
  return parts.join(' · ')
}
