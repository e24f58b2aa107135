/** Whether the service should be sent traffic: the state of a run, and a rule for overload that does not flap. */
import { plural } from '../base/plural.ts'
import type { Health } from './servers.ts'

export type RunState = 'starting' | 'receiving' | 'draining'

/** Share of the packets dropped for want of room, per check, that makes health bad; and good again. */
const BAD_ABOVE = 0.01
const GOOD_BELOW = 0.001
/**
 * Good checks in a row before health turns good again; twice as many each time that it turned bad soon after, up to the most: near the
 * limit of what it can take, and where a load balancer takes the traffic away and brings it back, it would flap otherwise.
 */
const GOOD_CHECKS = 5
const MOST_GOOD_CHECKS = 60

/** Looks at the counters once a second. Overload: packets dropped because rings or the kernel's buffer are full, connections shed. */
export class HealthRule {
  state: RunState = 'starting'
  /** What is wrong with threads that die again and again, a sentence each. */
  crashing: readonly string[] = []
  private isOverloaded = false
  private goodChecks = 0
  private goodChecksNeeded = GOOD_CHECKS
  /** Since it turned good. */
  private checksGood = MOST_GOOD_CHECKS
  private lastReceived = 0
  private lastDropped = 0

  /** @param dropped packets lost for want of room so far, the kernel's included */
  check(received: number, dropped: number, workersMissing: number, receiversMissing = 0): void {
    const packets = received - this.lastReceived + dropped - this.lastDropped
    const share = packets <= 0 ? 0 : (dropped - this.lastDropped) / packets
    this.lastReceived = received
    this.lastDropped = dropped
    this.workersMissing = workersMissing
    this.receiversMissing = receiversMissing
    if (share > BAD_ABOVE && !this.isOverloaded) {
      const isSoon = this.checksGood < MOST_GOOD_CHECKS
      this.goodChecksNeeded = isSoon ? Math.min(MOST_GOOD_CHECKS, 2 * this.goodChecksNeeded) : GOOD_CHECKS
      this.isOverloaded = true
    }
    if (share >= GOOD_BELOW) this.goodChecks = 0
    else if (this.isOverloaded && ++this.goodChecks >= this.goodChecksNeeded) {
      this.isOverloaded = false
      this.checksGood = 0
    }
    if (!this.isOverloaded) this.checksGood++
  }

  private workersMissing = 0
  private receiversMissing = 0

  health(): Health {
    if (this.state !== 'receiving') return { isHealthy: false, reason: this.state }
    if (this.isOverloaded)
      return { isHealthy: false, reason: 'overloaded: packets are dropped because a buffer or ring is full' }
    if (this.crashing.length > 0) return { isHealthy: false, reason: `crash loop: ${this.crashing.join('; ')}` }
    if (this.workersMissing > 0)
      return { isHealthy: true, reason: `receiving, ${plural(this.workersMissing, 'worker')} restarting` }
    if (this.receiversMissing > 0)
      return { isHealthy: true, reason: `receiving, ${plural(this.receiversMissing, 'receiver')} restarting` }
    return { isHealthy: true, reason: 'receiving' }
  }
}
