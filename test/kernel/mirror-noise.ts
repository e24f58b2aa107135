/** What a mirror does to packets on their way: other orders, copies, losses. */
import type { Random } from '../../src/demo/traffic/random.ts'
import type { Captured } from './scenario.ts'

export type Noise = (random: Random, capture: readonly Captured[]) => Captured[]

const MOST_DISPLACEMENT = 8

const reordered: Noise = (random, capture) => {
  const share = random.pick([0.05, 0.3])
  return capture
    .map((packet, i) => ({ packet, at: i + (random.chance(share) ? random.between(1, MOST_DISPLACEMENT) : 0) + 0.5 }))
    .sort((a, b) => a.at - b.at)
    .map(({ packet }) => packet)
}

const doubled: Noise = (random, capture) => {
  const out: Captured[] = []
  const copies: { at: number; packet: Captured }[] = []
  for (const [i, packet] of capture.entries()) {
    out.push(packet)
    if (random.chance(0.3)) copies.push({ at: i + random.pick([0, 0, 1, 5]), packet })
    for (const copy of copies.filter(({ at }) => at === i)) out.push(copy.packet)
  }
  return out
}

const lossy: Noise = (random, capture) => {
  const share = random.pick([0.03, 0.15])
  return capture.filter(() => !random.chance(share))
}

const late: Noise = (random, capture) => capture.slice(random.between(1, Math.max(1, capture.length >> 1)))

export const NOISES: Readonly<Record<string, Noise>> = {
  doubled,
  reordered,
  lossy,
  late,
  'one direction': (_random, capture) => capture.filter(({ isFromServer }) => !isFromServer),
}
