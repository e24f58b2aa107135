/**
 * Counters by target. A shard that sends to several targets has one block for each after its own, in the same memory:
 *
 *   byte 0                         the shard's block: packets to requests, and what was handed to the targets
 *   COUNTER_BLOCK_BYTES × (1 + i)  target i's: given (requestsForwarded), dropped, replayed, latencies, the gauges of its queue
 *
 * given = Σ dropped + Σ replayed + held, at every publication. With one target all stands in the shard's block.
 */
import { OUTCOME_NAMES, REQUEST_DROP_NAMES, RequestDrop } from '../base/drop.ts'
import { COUNTER_BLOCK_BYTES, Counter, CounterBlock, OUTCOMES, REQUEST_DROPS } from './counters.ts'

/** Memory for the counters of a shard with so many sinks. */
export function counterMemoryBytes(sinks: number): number {
  return COUNTER_BLOCK_BYTES * (sinks > 1 ? 1 + sinks : 1)
}

/** Where the targets' blocks begin; none where there is one target. */
export function targetOffsets(memory: SharedArrayBuffer): number[] {
  const offsets: number[] = []
  for (let at = COUNTER_BLOCK_BYTES; at < memory.byteLength; at += COUNTER_BLOCK_BYTES) offsets.push(at)
  return offsets
}

/** The targets' blocks, for the thread that counts in them. */
export function targetBlocks(memory: SharedArrayBuffer): CounterBlock[] {
  return targetOffsets(memory).map((at) => new CounterBlock(memory, at))
}

/** Gauges of what a target holds. */
const TARGET_GAUGES = ['requestsHeld', 'replayQueued', 'replayQueuedBytes', 'replayInFlight', 'circuitOpen'] as const

/**
 * The shard died: what its targets had been given and not ended is lost, and counted so in their blocks. What was handed over between two
 * publications is counted either as handed over or as lost by the shard's block, never as both.
 */
export function settleTargets(memory: SharedArrayBuffer): void {
  for (const block of targetBlocks(memory)) {
    const ended = sum(block, REQUEST_DROPS, REQUEST_DROP_NAMES) + sum(block, OUTCOMES, OUTCOME_NAMES)
    block.requestDrop(RequestDrop.shardLost, block.get(Counter.requestsForwarded) - ended)
    for (const gauge of TARGET_GAUGES) block.set(Counter[gauge], 0)
    block.publish()
  }
}

function sum(block: CounterBlock, at: number, names: readonly string[]): number {
  return block.values.subarray(at, at + names.length).reduce((a, b) => a + b, 0)
}
