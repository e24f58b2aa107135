/** The real stages with the program's own defaults, in this process: what the benches of single costs drive. */
import { fileURLToPath } from 'node:url'
import { MonotonicClock } from '../../src/base/clock.ts'
import type { ReplayOptions } from '../../src/config/options.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { ProgressRegister } from '../../src/flow/progress-register.ts'
import { TunnelRegister } from '../../src/http/tunnel-register.ts'
import { COUNTER_BLOCK_BYTES, CounterBlock } from '../../src/metrics/counters.ts'
import { RATE_LIMITER_BYTES } from '../../src/sinks/filter/rate-limiter.ts'
import { Shard } from '../../src/topology/shard.ts'
import type { ShardConfig } from '../../src/topology/shard-config.ts'
import { packetPipelineOptions, sendingSinkConfig, shardConfigOf } from '../../src/topology/stage-configs.ts'
import { runForJson } from '../support/processes.ts'

/** As `replay FILE --to null` has them. @param flags more of its options, by key */
export async function replayDefaults(flags: Readonly<Record<string, string>> = {}): Promise<ReplayOptions> {
  const given = { to: ['null'], workers: ['0'] }
  const more = Object.entries(flags).map(([key, text]): [string, string[]] => [key, [text]])
  const { options } = await resolveOptions(
    'replay',
    { flags: new Map([...Object.entries(given), ...more]), arguments: ['-'], faults: [] },
    {},
  )
  return options
}

export function benchShardConfig(options: ReplayOptions): ShardConfig {
  return shardConfigOf(options, sendingSinkConfig(options, false), false, new MonotonicClock().anchor, null)
}

export function packetPipelineOf(options: ReplayOptions): ReturnType<typeof packetPipelineOptions> {
  return packetPipelineOptions(options, false)
}

export function newCounters(): CounterBlock {
  return new CounterBlock(new SharedArrayBuffer(COUNTER_BLOCK_BYTES))
}

export function openShard(shardConfig: ShardConfig, counters: CounterBlock): Promise<Shard> {
  return Shard.open(shardConfig, {
    counters,
    tunnels: new TunnelRegister(),
    progress: new ProgressRegister(),
    rateMemory: new SharedArrayBuffer(RATE_LIMITER_BYTES),
    output: { write: () => {}, hasRoom: () => true },
  })
}

/** Runs a measurement in a process of its own, with `gc()`, and reads the JSON it prints. @param module beside this one, compiled */
export function measureApart<T>(module: string, order: unknown, nodeOptions: readonly string[] = []): Promise<T> {
  const path = fileURLToPath(new URL(module, import.meta.url))
  return runForJson<T>(module, path, order, ['--expose-gc', ...nodeOptions])
}

export function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('needs --expose-gc')
  globalThis.gc()
}
