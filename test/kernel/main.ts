/**
 * `npm run test:kernel`: a client that speaks TCP by hand against the kernel of this machine, and what the product reads of it against what
 * the kernel's application read.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Random } from '../../src/demo/traffic/random.ts'
import { loadLibc } from '../../src/sources/live/libc.ts'
import { inspectAll } from './inspect.ts'
import { Judgement } from './judgement.ts'
import { pcapOf } from './pcap.ts'
import { type Scenario, ScenarioRun, SUBJECTS, Wire } from './scenario.ts'
import { Tun } from './tun.ts'

const USAGE = `npm run test:kernel -- [options]
  --scenarios N   how many, default 500
  --seconds N     end after this long, whatever was done; default: no bound
  --seed S        default: another one each time; printed
  --only KIND     scenarios whose kind contains KIND; repeatable
  --scenario I    that one of the seed, with its packets and what became of it
  --variants N    times each noise of a mirror is tried on a scenario, default 3
  --save DIR      captures of scenarios that fail, as DIR/SEED-I.pcap, and with the noise with which they fail
  --strict        fails also where noise left more than one reading
  --details       prints each failure
  --at-most N     scenarios that may fail: those that README.md calls open; default 0
`
/** Set where the process runs in the namespace made for it. */
const INSIDE = 'MIRRORSHARD_KERNEL_INSIDE'
const AT_ONCE = 16

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      scenarios: { type: 'string', default: '500' },
      seconds: { type: 'string', default: '0' },
      seed: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      scenario: { type: 'string' },
      variants: { type: 'string', default: '3' },
      save: { type: 'string' },
      strict: { type: 'boolean', default: false },
      details: { type: 'boolean', default: false },
      'at-most': { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (process.env[INSIDE] === undefined) return inNamespace()
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  const deadline = Number(values.seconds) === 0 ? Number.POSITIVE_INFINITY : Date.now() + Number(values.seconds) * 1000
  const indexes =
    values.scenario !== undefined ? [Number(values.scenario)] : chosen(Number(values.scenarios), values.only)
  const wire = new Wire(await Tun.open())
  const libc = await loadLibc()
  const scenarios: Scenario[] = []
  const started = performance.now()
  let at = 0
  const worker = async (): Promise<void> => {
    while (at < indexes.length && Date.now() < deadline) {
      const index = indexes[at++]!
      scenarios.push(await new ScenarioRun(wire, libc, seed, index).run())
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, indexes.length) }, worker))
  scenarios.sort((a, b) => a.index - b.index)
  const ran = performance.now()
  const judgement = new Judgement(Number(values.variants), values.strict)
  for (const scenario of scenarios) judgement.add(scenario, new Random(seed ^ scenario.index))
  inspectAll(scenarios, judgement)
  const packets = scenarios.reduce((sum, s) => sum + s.capture.length, 0)
  process.stdout.write(judgement.text(values.details || values.scenario !== undefined))
  if (values.save !== undefined) {
    mkdirSync(values.save, { recursive: true })
    const file = (scenario: Scenario, noise: string): string =>
      join(values.save!, `${seed}-${scenario.index}${noise === '' ? '' : `-${noise.replace(' ', '-')}`}.pcap`)
    for (const scenario of values.scenario !== undefined ? scenarios : judgement.failed)
      writeFileSync(file(scenario, ''), pcapOf([scenario.capture]))
    for (const { scenario, name, capture } of judgement.noisy) writeFileSync(file(scenario, name), pcapOf([capture]))
  }
  process.stdout.write(
    `seed ${seed}: ${scenarios.length} scenarios, ${packets} packets, ${((ran - started) / 1000).toFixed(1)} s with the kernel, ${((performance.now() - ran) / 1000).toFixed(1)} s of reading\n`,
  )
  return judgement.isGood(Number(values['at-most'])) ? 0 : 1
}

function chosen(count: number, only: readonly string[]): number[] {
  const all = Array.from({ length: only.length === 0 ? count : 100_000 }, (_, i) => i)
  const matching = all.filter(
    (i) => only.length === 0 || only.some((kind) => SUBJECTS[i % SUBJECTS.length]!.includes(kind)),
  )
  return matching.slice(0, count)
}

/** Again, in a network namespace of its own that ends with the process, however it ends. */
function inNamespace(): number {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    process.stderr.write('test:kernel makes a network namespace and a TUN device: it needs Linux, and root\n')
    return 2
  }
  const script = fileURLToPath(import.meta.url)
  const { status, error } = spawnSync(
    'unshare',
    ['--net', process.execPath, ...process.execArgv, script, ...process.argv.slice(2)],
    { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } },
  )
  if (error !== undefined) throw error
  return status ?? 1
}

process.exit(await main())
