/** What costs by stage foretell: one receiving thread, any number of shards, so many cores. */

export interface SideCosts {
  /** ns a packet of the one thread that reads, decapsulates and writes rings. */
  readonly receivingNs: number
  /** ns a packet of a shard, from its ring to the sink. */
  readonly shardNs: number
}

export interface Foretold {
  readonly packetsPerSecond: number
  /** Which of the three bounds it is. */
  readonly limit: 'receiving thread' | 'shards' | 'cores'
}

/**
 * The lowest of three bounds: the receiving thread alone, the shards together, and all cores shared by both. Waiting, caches and
 * clock speeds that fall with load are not in it: it is the most that could be.
 */
export function foretell({ receivingNs, shardNs }: SideCosts, workers: number, cores: number): Foretold {
  const bounds = [
    { limit: 'receiving thread', packetsPerSecond: 1e9 / receivingNs },
    { limit: 'shards', packetsPerSecond: (1e9 * workers) / shardNs },
    { limit: 'cores', packetsPerSecond: (1e9 * cores) / (receivingNs + shardNs) },
  ] as const
  return bounds.reduce((least, bound) => (bound.packetsPerSecond < least.packetsPerSecond ? bound : least))
}

/** Shards that one receiving thread keeps busy: with more of them it is the bound. */
export function saturatingShards({ receivingNs, shardNs }: SideCosts): number {
  return shardNs / receivingNs
}
