/** What every shard of a run does: plain data, so that it crosses to a worker thread as it is. */
import type { ClockAnchor } from '../base/clock.ts'
import type { ReassemblyOptions } from '../reassembly/reassembler.ts'
import type { SelectionOptions } from '../sinks/filter/selection.ts'
import type { InspectOptions } from '../sinks/inspect/options.ts'
import type { ReplaySinkOptions } from '../sinks/replay/options.ts'

export interface HttpConfig {
  readonly maxHeadBytes: number
  readonly maxHeaders: number
  readonly maxBodyBytes: number
  readonly upgradeWaitMs: number
  /** Bounds of the shard: see HttpMemoryLimits. */
  readonly connectionBytes: number
  readonly messageBytes: number
  /** Server ports taken; null: any. */
  readonly ports: readonly number[] | null
}

/** What becomes of complete requests in one sink. `name` is the target's in counters and summary. */
export type SinkConfig =
  | {
      readonly kind: 'replay'
      readonly name: string
      readonly origin: string
      readonly options: Omit<ReplaySinkOptions, 'origin'>
    }
  | {
      readonly kind: 'discard'
      readonly name: string
      readonly options: SelectionOptions & { readonly shed: boolean }
    }
  | { readonly kind: 'print'; readonly name: string; readonly options: InspectOptions }

/** HOST:PORT of each sink's origin, the scheme's port where the URL has none; null where it sends nothing. */
export function originsOf(sinks: readonly SinkConfig[]): (string | null)[] {
  return sinks.map((sink) => {
    if (sink.kind !== 'replay') return null
    const { hostname, port, protocol } = new URL(sink.origin)
    return `${hostname}:${port === '' ? (protocol === 'https:' ? 443 : 80) : port}`
  })
}

export interface ShardConfig {
  readonly reassembly: ReassemblyOptions
  readonly http: HttpConfig
  /** One at least. Each request goes to all; several count by target, in this order. */
  readonly sinks: readonly SinkConfig[]
  /** Live: timers follow the monotonic clock. Else packet time. */
  readonly isLive: boolean
  readonly clockAnchor: ClockAnchor
  /** Requests per second of all shards together; null: no limit. */
  readonly ratePerSecond: number | null
  readonly drainTimeoutMs: number
}
