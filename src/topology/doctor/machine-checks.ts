/** The process and the machine: limits, memory, processors, threads, clock, the summary file. */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, resolve } from 'node:path'
import { describeSystemError } from '../../base/errors.ts'
import { readKernelFile } from '../../base/kernel-file.ts'
import { plural } from '../../base/plural.ts'
import { memoryOfMachine } from '../../config/memory-budget.ts'
import type { RunOptions } from '../../config/options.ts'
import { formatBytes } from '../../config/quantities.ts'
import { MAX_SERVER_CONNECTIONS } from '../../report/servers.ts'
import { openPipeline } from '../pipeline.ts'
import type { ServiceOptions } from '../service.ts'
import { type Check, ok, warning, wrong } from './check.ts'

/** Files, pipes, epoll and the like of Node and its threads: counted on an idle `run`, with room. */
const OTHER_DESCRIPTORS = 128
const MIB = 1024 ** 2
/** Reading one of these takes a microsecond and more: each packet's batch reads the clock. */
const SLOW_CLOCKS: ReadonlySet<string> = new Set(['hpet', 'acpi_pm', 'jiffies', 'refined-jiffies'])
/** No machine that is set right is before it: 2024-01-01. */
const EARLIEST_MS = Date.UTC(2024, 0, 1)

export function descriptorCheck(options: RunOptions): Check[] {
  const limit = softLimit()
  if (limit === null) return []
  const sockets = options.listen.length * (1 + 2 * options.receivers)
  const needed = options.connections + 2 * MAX_SERVER_CONNECTIONS + sockets + OTHER_DESCRIPTORS
  const found = `${limit} file descriptors may be open, up to ${needed} are needed`
  if (limit >= needed) return [ok('descriptors', found)]
  return [wrong('descriptors', found, `ulimit -n ${needed} (systemd: LimitNOFILE=${needed}), or fewer --connections`)]
}

function softLimit(): number | null {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(readKernelFile('/proc/self/limits') ?? '') ?? []
  return soft === undefined ? null : soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

export function memoryCheck(options: RunOptions): Check[] {
  const { bytes, isGroup } = memoryOfMachine()
  const limit = options.memoryLimit
  const place = isGroup ? 'control group' : 'machine'
  const buffers =
    options.interface === null ? 2 * options.receiveBufferBytes * options.listen.length * options.receivers : 0
  const found = `--memory-limit ${mebibytes(limit)} of the ${mebibytes(bytes)} of this ${place}`
  if (limit > bytes) return [wrong('memory', found, `--memory-limit ${mebibytes(bytes * 0.75)}, or a larger ${place}`)]
  const available = availableBytes()
  if (!isGroup && available !== null && limit + buffers > available)
    return [
      warning(
        'memory',
        `${found}, and ${mebibytes(buffers)} of socket buffers; ${mebibytes(available)} are available now`,
        'a smaller --memory-limit, or see what else runs here',
      ),
    ]
  return [ok('memory', `${found}, and ${mebibytes(buffers)} of socket buffers beside it`)]
}

function mebibytes(bytes: number): string {
  return formatBytes(Math.floor(bytes / MIB) * MIB)
}

function availableBytes(): number | null {
  const [, kib] = /^MemAvailable:\s+(\d+) kB$/m.exec(readKernelFile('/proc/meminfo') ?? '') ?? []
  return kib === undefined ? null : Number(kib) * 1024
}

export function processorCheck({ workers, receivers }: RunOptions): Check[] {
  const cores = availableParallelism()
  const threads = workers + (receivers > 1 ? receivers : 1)
  const found = `${plural(threads, 'busy thread')} on ${plural(cores, 'core')} (--workers ${workers}, --receivers ${receivers})`
  if (threads <= Math.max(2, cores)) return [ok('processors', found)]
  return [
    warning('processors', found, `--workers ${Math.max(1, cores - 1)}: more threads than cores wait for each other`),
  ]
}

/** Starts the shards as `run` would, and ends them. */
export async function threadCheck(options: ServiceOptions): Promise<Check[]> {
  if (options.workers === 0) return [ok('threads', 'none: --workers 0')]
  let died: string | null = null
  const pipeline = await openPipeline({
    shardConfig: options.shardConfig,
    shards: options.workers,
    producers: 1,
    ringCapacity: options.ringBytes,
    shedAbove: options.shedAbove,
    heapMb: options.shardHeapMb,
    writeOutput: () => Promise.resolve(),
    onShardDied: (shard, error) => {
      died = `worker ${shard}: ${error.message}`
    },
    onShardGivenUp: () => {},
  })
  try {
    await pipeline.started()
  } finally {
    await pipeline.drain()
  }
  if (died !== null)
    return [wrong('threads', `a worker died at its start: ${died}`, 'see the memory and --shard-heap-mb')]
  return [ok('threads', `${plural(options.workers, 'worker')} started and ended`)]
}

export function clockCheck(): Check[] {
  const now = new Date()
  const said = `${now.toISOString().slice(0, 19)}Z`
  if (now.getTime() < EARLIEST_MS) return [wrong('clock', said, 'set the clock: certificates are checked against it')]
  const source = clockSource()
  if (source !== null && SLOW_CLOCKS.has(source))
    return [
      warning('clock', `${said}, clock source ${source}`, 'tsc or kvm-clock as clock source: this one is slow to read'),
    ]
  return [ok('clock', source === null ? said : `${said}, clock source ${source}`)]
}

function clockSource(): string | null {
  return readKernelFile('/sys/devices/system/clocksource/clocksource0/current_clocksource')?.trim() ?? null
}

/** Without making the file. */
export function summaryCheck({ summary }: RunOptions): Check[] {
  if (summary === null) return []
  const path = resolve(summary)
  const isThere = existsSync(path)
  try {
    if (isThere && statSync(path).isDirectory()) return [wrong('summary', `${path} is a directory`, '--summary FILE')]
    accessSync(isThere ? path : dirname(path), constants.W_OK)
    return [ok('summary', `${path} can be written`)]
  } catch (error) {
    return [
      wrong(
        'summary',
        `${path} cannot be written: ${describeSystemError(error)}`,
        'another --summary FILE, or the right to write it',
      ),
    ]
  }
}
