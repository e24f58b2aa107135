/**
 * The differential check for as long as one likes: `npm run test:differential -- --seconds 30 --seed 1`. Exit status 1 where anybody
 * understood something else than we did. `--captures FILE …`: requests of captures, too.
 */
import { parseArgs } from 'node:util'
import { Differential, type Report, type Tally } from './differential.ts'
import { escaped } from './escaped.ts'
import { StreamMaker } from './random-streams.ts'
import { SHAPES } from './smuggling-shapes.ts'

const BATCH = 250
const MOST_SHOWN = 20

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
if (!(seconds > 0) || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run test:differential -- [--seconds N] [--seed N]')
  process.exit(2)
}

const differential = await Differential.open()
console.log(`seed ${seed}, ${seconds} s; readers: ${differential.readers.join(', ')}`)
if (differential.readers.length < 3) console.log('nginx takes no part: it is not on PATH')
const startedMs = performance.now()
await differential.compare(SHAPES.map(({ bytes }) => bytes))
for (let batch = 0; performance.now() - startedMs < seconds * 1000; batch++) {
  // Each batch has a seed of its own, so that one can be repeated alone.
  const maker = new StreamMaker(seed + batch)
  await differential.compare(Array.from({ length: BATCH }, () => maker.next()))
}
await differential.close()
print(differential.report)
process.exitCode = differential.report.differences.length === 0 ? 0 : 1

function print(report: Report): void {
  const sorted = (map: ReadonlyMap<string, number>) => [...map].sort(([, a], [, b]) => b - a)
  console.log(`${report.streams} streams: ${report.accepted} requests passed on; dropped:`)
  for (const [reason, n] of sorted(report.dropped)) console.log(`  ${String(n).padStart(8)}  ${reason}`)
  const table = (title: string, map: ReadonlyMap<string, Tally>) => {
    console.log(title)
    for (const [name, { same, refused }] of map) {
      const all = [...refused.values()].reduce((a, b) => a + b, 0)
      console.log(`  ${name}: ${same} the same, ${all} refused whole`)
      for (const [reason, n] of sorted(refused)) console.log(`  ${String(n).padStart(8)}  ${escaped(reason)}`)
    }
  }
  table('captured streams, read by', report.captured)
  table('requests passed on, replayed', report.replayed)
  for (const [name, n] of report.sentinelsBehind) console.log(`  ${name}: ${n} sentinels on the same connection`)
  console.log(`${report.differences.length} different`)
  for (const { reader, what, stream } of report.differences.slice(0, MOST_SHOWN))
    console.log(`  ${reader}: ${escaped(what)}\n    ${escaped(stream)}`)
}
