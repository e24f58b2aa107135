import { describe, expect, test } from 'vitest'
import { HealthRule } from '../../src/report/health.ts'

/** A service that takes 1,000 packets a second. */
class Seconds {
  readonly rule = new HealthRule()
  private received = 0
  private dropped = 0

  constructor() {
    this.rule.state = 'receiving'
  }

  /** A second with so many of a hundred packets dropped. @returns whether health is good behind it */
  pass(percent: number): boolean {
    this.received += 1000
    this.dropped += percent * 10
    this.rule.check(this.received, this.dropped, 0)
    return this.rule.health().isHealthy
  }

  changesOver(seconds: number, percentAt: (second: number) => number): number {
    let changes = 0
    let wasGood = this.rule.health().isHealthy
    for (let second = 0; second < seconds; second++) {
      const isGood = this.pass(percentAt(second))
      if (isGood !== wasGood) changes++
      wasGood = isGood
    }
    return changes
  }
}

describe('health', () => {
  test('turns bad in the second in which more than one packet in a hundred was dropped for want of room', () => {
    const seconds = new Seconds()
    expect(seconds.pass(0)).toBe(true)
    expect(seconds.pass(0.5)).toBe(true)
    expect(seconds.pass(20)).toBe(false)
  })

  test('turns good after five seconds in a row without: one in between with a few drops begins them anew', () => {
    const seconds = new Seconds()
    seconds.pass(20)
    for (let i = 0; i < 4; i++) expect(seconds.pass(0)).toBe(false)
    expect(seconds.pass(0.5)).toBe(false)
    for (let i = 0; i < 4; i++) expect(seconds.pass(0)).toBe(false)
    expect(seconds.pass(0)).toBe(true)
  })

  test('stays bad while connections are shed steadily', () => {
    const seconds = new Seconds()
    expect(seconds.changesOver(600, () => 50)).toBe(1)
  })

  test('does not flap near the limit, where seconds that shed and ones that need not take turns', () => {
    const seconds = new Seconds()
    expect(seconds.changesOver(600, (second) => (second % 10 < 3 ? 5 : 0))).toBeLessThan(5)
  })

  test('does not flap where a load balancer takes the traffic away and brings it back', () => {
    const seconds = new Seconds()
    expect(seconds.changesOver(3600, () => (seconds.rule.health().isHealthy ? 30 : 0))).toBeLessThan(130)
  })

  test('forgets an old overload: after a good minute five seconds are enough again', () => {
    const seconds = new Seconds()
    seconds.changesOver(100, (second) => (second % 10 < 3 ? 5 : 0))
    expect(seconds.changesOver(200, () => 0)).toBeLessThan(2)
    seconds.pass(20)
    expect(seconds.changesOver(5, () => 0)).toBe(1)
  })
})
