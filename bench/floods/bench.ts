/** What each flood costs as it grows, what memory it takes beside the limit, and what the counters said of it. */

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describeMachine, machineInWords } from '../support/machine.ts'
import type { BenchOptions } from '../support/options.ts'
import { runForJson } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { count } from '../support/table.ts'
import { drawCosts } from './chart.ts'
import type { FloodOrder, FloodResult } from './child.ts'
import { FLOODS } from './floods.ts'

const NAME = 'floods'
const SIZES = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
const USUAL = 1_000_000
const QUICK = [10_000, 30_000, 60_000]
const SMALL_LIMIT = '256MiB'
/** Heap that a shard thread has under the small limit: in this process nobody else sets it. */
const SMALL_HEAP_MB = 128
/** The last stretch may cost so many times the middle one, and so much more in microseconds, before it counts as growth. */
const MOST_GROWTH = 2
const NOISE_US = 1
const MIB = 1024 * 1024
const AT_ONCE = 4

interface Row {
  readonly name: string
  readonly sizes: readonly number[]
  readonly cost: readonly number[]
  /** Of the stretch that the last is compared with: the code is compiled, and the flood does all that it does. */
  readonly middle: number
  readonly free: FloodResult
  readonly tight: FloodResult
}

export async function benchFloods(options: BenchOptions, report: Report): Promise<void> {
  const runs = options.runs ?? 3
  report.heading(NAME, 'processor time for each packet of a flood, as the flood grows; memory beside its limit')
  report.line('Whole path on one thread, to null, a process for each flood; making the packet is in it')
  if (options.quick)
    report.line('Quick: too few packets to tell whether the cost of one grows. Counts and memory alone are judged')
  const rows = await sideBySide(FLOODS, async ({ name, most, settled = 0 }): Promise<Row> => {
    const sizes = options.quick ? QUICK : SIZES.filter((size) => size <= (most ?? USUAL))
    const results: FloodResult[] = []
    for (let run = 0; run < runs; run++) results.push(await runFlood({ flood: name, sizes, memoryLimit: null }, []))
    const tight = await runFlood({ flood: name, sizes: sizes.slice(-1), memoryLimit: SMALL_LIMIT }, [
      `--max-old-space-size=${SMALL_HEAP_MB}`,
    ])
    const cost = sizes.map((_, i) => median(results.map((result) => result.cost[i]!)))
    report.result({ bench: NAME, variant: name, sizes, cost, free: results[0]!, tight })
    const middle = Math.max(
      Math.floor(sizes.length / 2),
      sizes.findIndex((size) => size >= settled),
    )
    return { name, sizes, cost, middle: cost[middle]!, free: results[0]!, tight }
  })
  const table = [['flood', 'packets', 'µs/packet: middle', 'at the end', 'MiB', `MiB with ${SMALL_LIMIT}`, 'counts']]
  for (const { name, sizes, cost, middle, free, tight } of rows) {
    const last = cost.at(-1)!
    const isFlat = last <= MOST_GROWTH * middle || last - middle <= NOISE_US
    const verdicts = [free, tight].map((result) =>
      report.check(`${NAME}: ${name}`, {
        ...Object.fromEntries(result.wrong.map(([what, got, expected]) => [what, [got, expected] as const])),
        [`memory within ${count(Math.round(result.limitBytes / MIB))} MiB`]: [
          result.peakRssBytes <= result.limitBytes,
          true,
        ],
      }),
    )
    if (!options.quick)
      verdicts.push(report.check(`${NAME}: ${name}`, { 'cost a packet does not grow': [isFlat, true] }))
    table.push([
      name,
      count(sizes.at(-1)!),
      middle.toFixed(2),
      last.toFixed(2),
      mebibytes(free),
      mebibytes(tight),
      verdicts.includes('WRONG') ? 'WRONG' : 'ok',
    ])
  }
  report.table(table)
  if (!options.quick && options.write) writeDocs(rows, runs)
}

/** A few at once: what is measured is processor time. Results in the order of the items. */
async function sideBySide<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const take = async () => {
    while (next < items.length) {
      const i = next++
      results[i] = await run(items[i]!)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, take))
  return results
}

function runFlood(order: FloodOrder, flags: readonly string[]): Promise<FloodResult> {
  const path = fileURLToPath(new URL('./child.js', import.meta.url))
  return runForJson(`${order.flood}: the process`, path, order, flags)
}

function mebibytes({ peakRssBytes }: FloodResult): string {
  return count(Math.round(peakRssBytes / MIB))
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

function writeDocs(rows: readonly Row[], runs: number): void {
  const machine = machineInWords(describeMachine())
  const svg = drawCosts(
    'What a packet of a flood costs, by the size of the flood',
    [
      'Microseconds of CPU time per packet (vertical, from zero, each panel has its own scale), for the packets from one size to the next;',
      'packets so far (horizontal, logarithmic). The first thousands show the compiler at work. Where a line does not rise, the work for each packet is bounded.',
    ],
    rows,
    [...machine, `Whole path on one thread to null; median of ${runs} runs. npm run bench -- floods --write`],
  )
  writeFileSync('docs/plots/floods.svg', svg)
  const lines = rows.map(({ name, sizes, cost, middle, free, tight }) =>
    [
      name,
      count(sizes.at(-1)!),
      middle.toFixed(2),
      cost.at(-1)!.toFixed(2),
      mebibytes(free),
      mebibytes(tight),
      countsInWords(free),
      countsInWords(tight),
    ].join(' | '),
  )
  writeFileSync(
    'docs/floods.md',
    `# Floods

<!-- Made by bench/floods/bench.ts: npm run bench -- floods --write. Do not edit. -->

What each of ${rows.length} floods costs as it grows, how much memory it takes, and what the counters said. The work for each packet is bounded, so the
cost of a flood grows linearly with its packets. [Memory](memory.md) says what is bounded and what is evicted.

![Cost of a packet by size of the flood](plots/floods.svg)

${machine.join('. ')}. The whole path runs on one thread, to null, in one process per flood; figures are medians of ${runs} runs. The same
process makes the datagrams, and their making is part of the cost. Packet time runs at 100,000 packets a second.

- *middle*, *end*: microseconds of CPU time per packet, for the packets up to the middle size and up to the last
- *MiB*: peak memory of the process, with the default limit (${count(Math.round(rows[0]!.free.limitBytes / MIB))} MiB here) and with \`--memory-limit ${SMALL_LIMIT}\` (heap limited to ${SMALL_HEAP_MB} MiB, like that of a shard thread)

The bench fails when the end costs more than ${MOST_GROWTH} times the middle and ${NOISE_US} µs more, or when memory exceeds its limit.
It also fails when anything that came in did not end in exactly one count.

| flood | packets | middle | end | MiB | MiB of ${SMALL_LIMIT} | what the counters said | with ${SMALL_LIMIT} |
| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |
${lines.map((line) => `| ${line} |`).join('\n')}
`,
  )
}

function countsInWords({ counts }: FloodResult): string {
  return Object.entries(counts)
    .map(([name, n]) => `${inWords(name)} ${count(n)}`)
    .join(', ')
}

function inWords(name: string): string {
  return name
    .replace(/^(packets|requests|responses) dropped: /, '$1 `')
    .replace(/`(\w+)$/, '`$1`')
    .replace(/^flows([A-Z])/, (_, c: string) => `flows ${c.toLowerCase()}`)
    .replace(/Parsed$/, ' parsed')
}
