/**
 * One stated amount of memory, --memory-limit, divided among everything that can grow. docs/memory.md has the table.
 *
 * What a person gave is kept; what is left goes to the other parts, each of which gets its least and then the same share of
 * what it would like to have beyond it. Where the limit holds what every part would like, nothing is changed.
 */
import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { FLOW_BYTES, RECEIVE_SLOTS } from '../base/memory-weights.ts'
import { formatBytes } from './quantities.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Node, its code and its young generation: measured on an idle `run`, with room. */
const PROCESS_BYTES = 88 * MIB
/** The same of one more thread: heap of a new isolate, registers, counters. */
const THREAD_BYTES = 24 * MIB
/** Least for what is dead and not collected yet. V8 looks for it when 64 MiB outside its heap were taken since it last did. */
const LEAST_RESERVE_BYTES = 64 * MIB
const RESERVE_DIVISOR = 8
/** Lines of `inspect` on their way out, in each shard. */
const OUTPUT_BYTES = 16 * MIB

/** Heap of a shard that connections may fill: a collector needs room beside what lives, and out-of-order segments are there too. */
const HEAP_DIVISOR = 4

/** Names of the parts, as in metrics and docs. */
export const MEMORY_PARTS = {
  base: 'The process and its threads, before any packet.',
  reserve: 'What is dead and not yet collected.',
  slots: 'Datagrams being received.',
  rings: 'Rings between receivers and shards (--ring-bytes).',
  fragments: 'IP fragments (--fragment-bytes).',
  flows: 'The flow table (--max-flows).',
  outOfOrder: 'TCP segments that wait for earlier ones (--out-of-order-total-bytes).',
  connections: 'HTTP state of connections (--connection-bytes).',
  messages: 'Messages being read (--message-bytes).',
  queue: 'Requests queued and in flight (--queue-bytes).',
} as const
export type MemoryPart = keyof typeof MEMORY_PARTS
export type MemoryBudget = Readonly<Record<MemoryPart, number>>

type Values = Readonly<Record<string, unknown>>

/** A part that follows one option. */
interface Elastic {
  readonly part: MemoryPart
  readonly option: string
  /** How many of what the option says there are. */
  readonly times: number
  /** Least and wanted value of the option. */
  readonly least: number
  readonly wanted: number
  /** To a value that the option may have. */
  readonly rounded?: (value: number) => number
}

/** Options that the budget decides where nobody gave them. */
export const DIVIDED_OPTIONS: ReadonlySet<string> = new Set([
  ...['memoryLimit', 'ringBytes', 'fragmentBytes', 'maxFlows', 'outOfOrderBytes', 'outOfOrderTotalBytes'],
  ...['connectionBytes', 'messageBytes', 'queueBytes', 'shardHeapMb'],
])

export interface MemoryDivision {
  /** Options whose values the budget decides. */
  readonly values: Values
  /** What does not fit, or null. */
  readonly fault: string | null
}

/** What the machine, or the control group the process runs in, has. */
export function memoryOfMachine(): { readonly bytes: number; readonly isGroup: boolean } {
  const total = totalmem()
  // Of Node 20 on; 0 or a number beyond all memory where there is no limit.
  const constrained = process.constrainedMemory?.() ?? groupLimit()
  return constrained > 0 && constrained < total
    ? { bytes: constrained, isGroup: true }
    : { bytes: total, isGroup: false }
}

/** A container's memory is there for us; a machine's is also the page cache's, the socket buffers' and other people's. */
export function defaultMemoryLimit(): number {
  const { bytes, isGroup } = memoryOfMachine()
  return Math.floor((isGroup ? bytes * 0.75 : bytes / 2) / MIB) * MIB
}

/** @param isGiven whether somebody gave the option @param name how to call it in a message */
export function divideMemory(
  values: Values,
  isGiven: (key: string) => boolean,
  name: (key: string) => string,
): MemoryDivision {
  const elastics = elasticsOf(values, isGiven)
  const isFixed = ({ option }: Elastic) => isGiven(option)
  const given = elastics.filter(isFixed)
  const free = elastics.filter((elastic) => !isFixed(elastic))
  let limit = values.memoryLimit as number
  const standing = { base: baseBytes(values), slots: slotBytes(values) }
  const sum = (parts: readonly Elastic[], of: (elastic: Elastic) => number) =>
    parts.reduce((bytes, elastic) => bytes + of(elastic) * elastic.times, 0)
  const asked = sum(given, ({ option }) => values[option] as number)
  const leasts = sum(free, ({ least }) => least)
  const needed = () => standing.base + standing.slots + reserveOf(limit) + asked + leasts
  if (needed() > limit && !isGiven('memoryLimit')) {
    // Nobody set a limit: there is one all the same, where the machine can hold it.
    const machine = memoryOfMachine().bytes
    limit = Math.min(machine, Math.ceil((needed() * RESERVE_DIVISOR) / (RESERVE_DIVISOR - 1) / MIB) * MIB)
  }
  if (needed() > limit) return { values: {}, fault: tooLittle(limit, needed(), standing.base + standing.slots, given) }
  const left = limit - needed()
  const wish = sum(free, ({ least, wanted }) => wanted - least)
  const share = wish <= left ? 1 : left / wish
  const decided: Record<string, unknown> = { memoryLimit: limit }
  for (const { option, least, wanted, rounded } of free) {
    const value = Math.floor(least + (wanted - least) * share)
    decided[option] = share === 1 ? wanted : (rounded?.(value) ?? value)
  }
  const after = { ...values, ...decided }
  if (!isGiven('outOfOrderBytes'))
    decided.outOfOrderBytes = Math.min(values.outOfOrderBytes as number, after.outOfOrderTotalBytes as number)
  if (!isGiven('shardHeapMb')) decided.shardHeapMb = heapMb(after)
  return { values: decided, fault: null }

  function tooLittle(bytes: number, need: number, base: number, asked: readonly Elastic[]): string {
    const parts = asked.map(({ option, times }) => `${name(option)} ${shown((values[option] as number) * times)}`)
    const rest = [
      `${shown(base)} for the process and its threads`,
      `${shown(reserveOf(limit))} for the collector`,
      ...parts,
      `at least ${shown(leasts)} for the other parts`,
    ]
    const limitText = isGiven('memoryLimit')
      ? `${name('memoryLimit')} ${formatBytes(bytes)}`
      : `the machine’s memory, ${shown(bytes)},`
    return `${limitText} is too little: ${shown(need)} are needed, ${rest.join(' + ')}`
  }
}

/**
 * What to tell somebody who asked for bodies that can never be held: a shard has its part of --message-bytes, and no more.
 * @param values of a command, divided @param isGiven whether somebody gave the option
 */
export function bodyWarning(
  values: Values,
  isGiven: (key: string) => boolean,
  name: (key: string) => string,
): string | null {
  const share = Math.floor((values.messageBytes as number) / shardsOf(values))
  if (!isGiven('maxBodyBytes') || (values.maxBodyBytes as number) <= share) return null
  return `${name('maxBodyBytes')} ${formatBytes(values.maxBodyBytes as number)} is more than the ${Math.floor(share / MIB)}MiB of --message-bytes that each worker has: longer bodies will be dropped as memoryLimit`
}

/** The parts as the options, in the end, have them. */
export function memoryBudget(values: Values): MemoryBudget {
  const parts: Record<string, number> = {}
  for (const part of Object.keys(MEMORY_PARTS)) parts[part] = 0
  parts.base = baseBytes(values)
  parts.reserve = reserveOf(values.memoryLimit as number)
  parts.slots = slotBytes(values)
  for (const { part, option, times } of elasticsOf(values, () => false))
    parts[part] = (values[option] as number) * times
  return parts as MemoryBudget
}

function elasticsOf(values: Values, isGiven: (key: string) => boolean): Elastic[] {
  const shards = shardsOf(values)
  const receivers = receiversOf(values)
  const threads = values.workers as number
  const heap = (values.shardHeapMb as number) * MIB
  const body = Math.min(values.maxBodyBytes as number, 8 * MIB)
  const eachOutOfOrder = isGiven('outOfOrderBytes') ? (values.outOfOrderBytes as number) : MIB
  const elastics: Elastic[] = [
    {
      part: 'rings',
      option: 'ringBytes',
      times: threads * receivers,
      least: 256 * KIB,
      wanted: 16 * MIB,
      rounded: powerOfTwoBelow,
    },
    { part: 'fragments', option: 'fragmentBytes', times: receivers, least: MIB, wanted: 16 * MIB },
    { part: 'flows', option: 'maxFlows', times: FLOW_BYTES, least: 16_384, wanted: 1_000_000 },
    {
      part: 'outOfOrder',
      option: 'outOfOrderTotalBytes',
      times: shards,
      least: Math.max(MIB, eachOutOfOrder),
      wanted: Math.max(64 * MIB, eachOutOfOrder),
    },
    {
      part: 'connections',
      option: 'connectionBytes',
      times: 1,
      least: shards * 4 * MIB,
      wanted: shards * Math.max(4 * MIB, heap / HEAP_DIVISOR),
    },
    {
      part: 'messages',
      option: 'messageBytes',
      times: 1,
      least: shards * (body + MIB),
      wanted: Math.max(512 * MIB, shards * (body + MIB)),
    },
  ]
  if (values.queueBytes !== undefined && values.to !== null)
    elastics.push({ part: 'queue', option: 'queueBytes', times: 1, least: 4 * MIB, wanted: 64 * MIB })
  return elastics
}

function shardsOf(values: Values): number {
  return Math.max(1, values.workers as number)
}

function receiversOf(values: Values): number {
  return (values.receivers as number | undefined) ?? 1
}

function baseBytes(values: Values): number {
  const receivers = receiversOf(values)
  const threads = (values.workers as number) + (receivers > 1 ? receivers : 0)
  const output = values.bodies === undefined ? 0 : shardsOf(values) * OUTPUT_BYTES
  return PROCESS_BYTES + threads * THREAD_BYTES + output
}

function slotBytes(values: Values): number {
  const datagram = values.datagramBytes as number | undefined
  return datagram === undefined ? 0 : receiversOf(values) * RECEIVE_SLOTS * (datagram + 128)
}

function reserveOf(limit: number): number {
  return Math.max(LEAST_RESERVE_BYTES, Math.floor(limit / RESERVE_DIVISOR))
}

/** Heap of a shard: what is kept in it, and room for the collector; never above what it is without a limit. */
function heapMb(values: Values): number {
  const shards = shardsOf(values)
  const live =
    (values.connectionBytes as number) / shards +
    (values.outOfOrderTotalBytes as number) +
    ((values.queueBytes as number | undefined) ?? 0) / shards
  const needed = Math.ceil((live * 2) / MIB) + 64
  return Math.min(values.shardHeapMb as number, Math.max(64, needed))
}

function powerOfTwoBelow(n: number): number {
  return 2 ** Math.floor(Math.log2(n))
}

/** Control groups, where Node does not say. */
function groupLimit(): number {
  for (const path of ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']) {
    try {
      const bytes = Number(readFileSync(path, 'utf8'))
      if (Number.isFinite(bytes)) return bytes
    } catch {}
  }
  return 0
}

function shown(bytes: number): string {
  return `${Math.ceil(bytes / MIB)}MiB`
}
