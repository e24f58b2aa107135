/**
 * What a thread that died held is lost, and counted as lost in its own counters, before another thread continues with them: then the sums
 * hold again (docs/architecture.md, Supervision). Nothing here knows threads: counters as they were published last go in, with what
 * the rings and the kernel say was taken, and come out settled.
 */
import {
  OUTCOME_NAMES,
  PACKET_DROP_NAMES,
  PacketDrop,
  REQUEST_DROP_NAMES,
  RESPONSE_DROP_NAMES,
  RequestDrop,
  ResponseDrop,
} from '../base/drop.ts'
import {
  Counter,
  type CounterBlock,
  OUTCOMES,
  PACKET_DROPS,
  REQUEST_DROPS,
  RESPONSE_DROPS,
} from '../metrics/counters.ts'
import type { ScalarName } from '../metrics/scalars.ts'

/** Gauges of a shard: of one without a worker they are 0. */
const SHARD_GAUGES: readonly ScalarName[] = [
  'flowsOpen',
  'flowsUnsettled',
  'flowTableBytes',
  'outOfOrderBytes',
  'connectionBytes',
  'messageBytes',
  'requestsHeld',
  'responsesHeld',
  'replayQueued',
  'replayQueuedBytes',
  'replayInFlight',
  'circuitOpen',
  'heapBytes',
  'externalBytes',
]
const RECEIVER_GAUGES: readonly ScalarName[] = ['fragmentsHeld', 'fragmentBytes', 'heapBytes', 'externalBytes']

/** @param packetsTaken taken up from the shard's rings, by all of its workers */
export function settleShard(counters: CounterBlock, packetsTaken: number): void {
  const requestsEnded =
    sum(counters, REQUEST_DROPS, REQUEST_DROP_NAMES.length) + sum(counters, OUTCOMES, OUTCOME_NAMES.length)
  // What was handed to several targets is lost there.
  const requestsHere = counters.get(Counter.requestsParsed) - counters.get(Counter.requestsForwarded)
  counters.requestDrop(RequestDrop.shardLost, requestsHere - requestsEnded)
  const responsesEnded =
    counters.get(Counter.responsesCompleted) + sum(counters, RESPONSE_DROPS, RESPONSE_DROP_NAMES.length)
  counters.responseDrop(ResponseDrop.shardLost, counters.get(Counter.responsesParsed) - responsesEnded)
  counters.packetDrop(PacketDrop.shardLost, packetsTaken - packetsEnded(counters))
  counters.add(Counter.flowsLost, counters.get(Counter.flowsUnsettled))
  for (const gauge of SHARD_GAUGES) counters.set(Counter[gauge], 0)
}

/** The shard is not restarted: what nobody took out of its rings is lost too. */
export function abandonRings(counters: CounterBlock, packetsLeft: number): void {
  counters.packetDrop(PacketDrop.shardLost, packetsLeft)
}

/**
 * @param packetsTaken taken from the kernel, by all threads of this receiver
 * @param packetsHandedOver in all its rings. Counters are published before rings: what was counted may be ahead of what the shards have
 */
export function settleReceiver(counters: CounterBlock, packetsTaken: number, packetsHandedOver: number): void {
  counters.set(Counter.packetsReceived, packetsTaken)
  counters.set(Counter.packetsDispatched, packetsHandedOver)
  // Fragments that waited are among them.
  counters.packetDrop(PacketDrop.receiverLost, packetsTaken - packetsHandedOver - packetsEnded(counters))
  for (const gauge of RECEIVER_GAUGES) counters.set(Counter[gauge], 0)
}

function packetsEnded(counters: CounterBlock): number {
  return counters.get(Counter.packetsProcessed) + sum(counters, PACKET_DROPS, PACKET_DROP_NAMES.length)
}

function sum({ values }: CounterBlock, at: number, length: number): number {
  let total = 0
  for (let i = at; i < at + length; i++) total += values[i]!
  return total
}
