/** What must add up at all times, read from /metrics as an operator would. */
import { expect } from 'vitest'
import { byLabel, type Samples, sumOverLabels } from '../../../bench/support/prometheus.ts'
import type { Summary } from '../../../src/report/summary.ts'

export interface Ledger {
  readonly received: number
  readonly processed: number
  readonly packetDrops: Readonly<Record<string, number>>
  readonly packetsHeld: number
  readonly kernelDrops: number
  readonly parsed: number
  readonly requestDrops: Readonly<Record<string, number>>
  readonly outcomes: Readonly<Record<string, number>>
  readonly requestsHeld: number
}

export function ledgerOf(samples: Samples): Ledger {
  const value = (name: string) => {
    const found = samples.get(name)
    if (found === undefined) throw new Error(`/metrics has no ${name}`)
    return found
  }
  return {
    received: value('mirrorshard_source_packets_total'),
    processed: value('mirrorshard_packets_processed_total'),
    packetDrops: byLabel(samples, 'mirrorshard_packets_dropped_total'),
    packetsHeld: value('mirrorshard_ring_packets') + value('mirrorshard_fragments_held'),
    kernelDrops: value('mirrorshard_kernel_drops_total'),
    parsed: value('mirrorshard_requests_parsed_total'),
    requestDrops: byLabel(samples, 'mirrorshard_requests_dropped_total'),
    outcomes: byLabel(samples, 'mirrorshard_requests_replayed_total'),
    requestsHeld: value('mirrorshard_requests_held'),
  }
}

/**
 * Every packet received and every request recognised is in exactly one place. From /metrics alone.
 * @returns what was read, for further statements
 */
export function expectIdentity(samples: Samples): Ledger & { readonly samples: Samples } {
  const ledger = ledgerOf(samples)
  const packetsDropped = sumOverLabels(samples, 'mirrorshard_packets_dropped_total')
  const requestsDropped = sumOverLabels(samples, 'mirrorshard_requests_dropped_total')
  const replayed = sumOverLabels(samples, 'mirrorshard_requests_replayed_total')
  expect(ledger.processed + packetsDropped + ledger.packetsHeld, `packets: ${JSON.stringify(ledger)}`).toBe(
    ledger.received,
  )
  expect(requestsDropped + replayed + ledger.requestsHeld, `requests: ${JSON.stringify(ledger)}`).toBe(ledger.parsed)
  return { ...ledger, samples }
}

/** The same of a summary; after a drain nothing is held. */
export function expectBalance({ packets, requests }: Summary, isDrained = true): void {
  expect(packets.processed + sum(packets.dropped) + packets.held, JSON.stringify(packets)).toBe(packets.received)
  expect(sum(requests.dropped) + sum(requests.replayed) + requests.held, JSON.stringify(requests)).toBe(requests.parsed)
  if (isDrained) expect([packets.held, requests.held], JSON.stringify([packets, requests])).toEqual([0, 0])
}

export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0)
}

/** What was added between two readings, by name. */
export function difference(
  later: Readonly<Record<string, number>>,
  earlier: Readonly<Record<string, number>>,
): Record<string, number> {
  const result: Record<string, number> = {}
  for (const [name, n] of Object.entries(later)) if (n !== (earlier[name] ?? 0)) result[name] = n - (earlier[name] ?? 0)
  return result
}
