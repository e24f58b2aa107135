/** Readings and set-ups for tests of diagnosis: what is not given is as in a service where nothing happened. */
import type { Setup } from '../../../src/report/diagnosis/finding.ts'
import type { Reading } from '../../../src/report/diagnosis/reading.ts'
import { EMPTY } from '../../../src/report/diagnosis/watch.ts'
import type { KernelNetwork } from '../../../src/sources/live/kernel-network.ts'

export const KERNEL: KernelNetwork = {
  devicePackets: 0,
  ipReceived: 0,
  ipUndelivered: 0,
  ipWrongAddress: 0,
  ipUnknownProtocol: 0,
  reversePathFiltered: 0,
  udpNoPort: 0,
  udpChecksum: 0,
}

export const SETUP: Setup = {
  listen: [{ format: 'vxlan', host: '0.0.0.0', port: 4789 }],
  interface: null,
  ports: null,
  vnis: null,
  datagramBytes: 9216,
  to: 'http://staging:8080',
  percent: 100,
  sampleBy: 'connection',
}

type Parts<T> = { readonly [K in keyof T]?: T[K] extends object | null ? Partial<NonNullable<T[K]>> : T[K] }

export function reading(ms: number, given: Parts<Reading> = {}): Reading {
  const merged: Record<string, unknown> = { ...EMPTY, kernel: KERNEL, ms }
  for (const [key, value] of Object.entries(given))
    merged[key] = typeof value === 'object' ? { ...(merged[key] as object), ...(value as object) } : value
  return merged as unknown as Reading
}

/** Everything works: 100 requests, all answered. */
export const GOOD = {
  packets: { received: 1000, tcp: 1000 },
  flows: { opened: 100 },
  requests: { parsed: 100, dropped: {}, replayed: { '2xx': 100 } },
  responses: { parsed: 100 },
} as const satisfies Parts<Reading>
