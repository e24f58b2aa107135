/** The passes of a cycle in the order of sending: bench/support/mirror-cycle.ts says which datagrams each leaves out. */
import type { MirrorCycle } from '../support/mirror-cycle.ts'
import type { DatagramSender, Sequence } from './datagram-sender.ts'

export interface CyclePart {
  /** Indexes of datagrams. */
  readonly order: Int32Array
  readonly sequence: Sequence
}

/** The first pass, those between, and the last. */
export type PartName = 'opening' | 'all' | 'closing'

export function partsOf(cycle: MirrorCycle, sender: DatagramSender): { readonly [K in PartName]: CyclePart } {
  const all = Int32Array.from(cycle.wraps.keys())
  const part = (order: Int32Array): CyclePart => ({ order, sequence: sender.sequence(order) })
  return {
    all: part(all),
    opening: part(all.filter((i) => cycle.wraps[i] === 0)),
    closing: part(all.filter((i) => cycle.wraps[i] === 1)),
  }
}
