/** Deaths and returns of threads, as the log tells them: with what was lost, which is known from the counters. */
import type { PlainError } from '../base/errors.ts'
import { plural } from '../base/plural.ts'
import type { TellEvent } from '../report/log-events.ts'
import type { Totals } from '../report/totals.ts'
import { duration, seconds } from '../report/watch/duration.ts'

export class ThreadDeaths {
  private readonly totals: () => Totals
  private readonly tell: TellEvent
  /** Counts that were told. */
  private shardPackets = 0
  private shardRequests = 0
  private receiverPackets = 0

  constructor(totals: () => Totals, tell: TellEvent) {
    this.totals = totals
    this.tell = tell
  }

  readonly shardDied = (shard: number, error: PlainError, restartMs: number): void => {
    this.tell(
      'worker-died',
      `worker ${shard} died (${error.message}); what it held is counted as shardLost; restarting in ${restartMs} ms`,
      { shard, code: error.code, restartMs },
      `worker ${shard}`,
    )
  }

  readonly shardBack = (shard: number, afterMs: number): void => {
    const totals = this.totals()
    const packets = totals.packetDrops().shardLost ?? 0
    const requests = totals.requestDrops().shardLost ?? 0
    const packetsLost = packets - this.shardPackets
    const requestsLost = requests - this.shardRequests
    this.shardPackets = packets
    this.shardRequests = requests
    this.tell(
      'worker-back',
      `worker ${shard} runs again after ${duration(afterMs)}; lost with it: ${plural(packetsLost, 'packet')}, ${plural(requestsLost, 'request')}`,
      { shard, seconds: seconds(afterMs), packetsLost, requestsLost },
      `worker ${shard}`,
    )
  }

  readonly receiverBack = (receiver: number, afterMs: number): void => {
    const packets = this.totals().packetDrops().receiverLost ?? 0
    const packetsLost = packets - this.receiverPackets
    this.receiverPackets = packets
    this.tell(
      'receiver-back',
      `receiver ${receiver} runs again after ${duration(afterMs)}; lost with it: ${plural(packetsLost, 'packet')}`,
      { receiver, seconds: seconds(afterMs), packetsLost },
      `receiver ${receiver}`,
    )
  }
}
