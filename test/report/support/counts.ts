/** Totals with given counts, as threads publish them. */
import { Outcome, PacketDrop, RequestDrop } from '../../../src/base/drop.ts'
import { COUNTER_BLOCK_BYTES, Counter, CounterBlock } from '../../../src/metrics/counters.ts'
import type { ScalarName } from '../../../src/metrics/scalars.ts'
import { Totals } from '../../../src/report/totals.ts'

export interface Counts {
  readonly scalars?: Partial<Record<ScalarName, number>>
  readonly packetDrops?: Partial<Record<keyof typeof PacketDrop, number>>
  readonly requestDrops?: Partial<Record<keyof typeof RequestDrop, number>>
  readonly outcomes?: Partial<Record<keyof typeof Outcome, number>>
  readonly latencyUs?: number
}

export function totalsOf({ scalars, packetDrops, requestDrops, outcomes, latencyUs }: Counts): Totals {
  const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
  const counters = new CounterBlock(memory)
  for (const [name, n] of Object.entries(scalars ?? {})) counters.set(Counter[name as ScalarName], n)
  const add = (counts: object | undefined, one: (name: string, n: number) => void) => {
    for (const [name, n] of Object.entries(counts ?? {})) one(name, n as number)
  }
  add(packetDrops, (name, n) => counters.packetDrop(PacketDrop[name as keyof typeof PacketDrop], n))
  add(requestDrops, (name, n) => counters.requestDrop(RequestDrop[name as keyof typeof RequestDrop], n))
  add(outcomes, (name, n) => counters.outcome(Outcome[name as keyof typeof Outcome], n))
  if (latencyUs !== undefined) counters.latency(latencyUs)
  counters.publish()
  return Totals.read([memory])
}
