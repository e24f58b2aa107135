// Generated captures through `inspect`, scored against their ground truth. Needs the generator and scorer that stand beside a
// checkout (see README.md here); CI calls it where they are.
//
//   node test/acceptance/generated.mjs TOOLS_DIR [--seeds 100-119] [--workers 0,1,2,4] [--presets clean,…] [--variants] [--jobs 2] [--open NAME,…]
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '100-119' },
    workers: { type: 'string', default: '1' },
    presets: { type: 'string', default: 'clean,mixed,adversarial,lossy,hell' },
    variants: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '2' },
    // Captures of which something is known to be missing: they are run and told, and one that passes is a failure of this list.
    open: { type: 'string', default: '' },
    program: { type: 'string', default: 'dist/src/main.js' },
  },
})
const tools = positionals[0]
const [firstSeed, lastSeed] = values.seeds.split('-').map(Number)
const presets = values.presets.split(',')
const folder = mkdtempSync(join(tmpdir(), 'generated-'))

function run(command, args, outFile) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const out = []
    const err = []
    child.stdout.on('data', (b) => out.push(b))
    child.stderr.on('data', (b) => err.push(b))
    child.on('close', (code) => {
      if (outFile !== undefined) writeFileSync(outFile, Buffer.concat(out))
      resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() })
    })
  })
}

/** One case: generate, inspect with each worker count, score, and compare the printed sets. */
async function check({ name, gen, inspect }) {
  const pcap = join(folder, `${name}.pcap`)
  const truth = join(folder, `${name}.truth`)
  const made = await run('python3', [
    join(tools, 'gen.py'),
    '--out',
    pcap,
    '--truth',
    truth,
    '--conns',
    '60',
    '--reqs',
    '8',
    ...gen,
  ])
  if (made.code !== 0) return [`${name}: the generator failed: ${made.err}`]
  const faults = []
  let first = null
  for (const workers of values.workers.split(',')) {
    const seen = join(folder, `${name}.${workers}.jsonl`)
    const done = await run(
      process.execPath,
      [values.program, 'inspect', pcap, '--overlap', 'first', '--workers', workers, ...inspect],
      seen,
    )
    if (done.code !== 0) faults.push(`${name} --workers ${workers}: exit status ${done.code}: ${done.err.slice(-300)}`)
    const score = await run(
      'python3',
      [join(tools, 'score.py'), truth, seen, '--overlap', 'first', '--no-repeats'].filter(
        (a) => a !== '--no-repeats' || !gen.includes('--double-mirror'),
      ),
    )
    if (score.code !== 0) faults.push(`${name} --workers ${workers}: ${score.out.slice(0, 1500)}`)
    const set = readFileSync(seen, 'utf8').split('\n').sort().join('\n')
    first ??= set
    if (set !== first)
      faults.push(`${name}: --workers ${workers} prints another set than --workers ${values.workers.split(',')[0]}`)
    rmSync(seen)
  }
  rmSync(pcap)
  rmSync(truth)
  return faults
}

/** Requests are missing, and nothing is wrong with those that are there. */
function isOnlyMissing(fault) {
  return /extra 0 {2}duplicate 0 {2}altered 0 {2}out-of-order 0/.test(fault)
}

const cases = []
for (const preset of presets) {
  for (let seed = firstSeed; seed <= lastSeed; seed++) {
    for (const vxlan of [false, true]) {
      const gen = ['--seed', String(seed), '--preset', preset, ...(vxlan ? ['--vxlan'] : [])]
      cases.push({ name: `${preset}-${seed}${vxlan ? '-vxlan' : ''}`, gen, inspect: [] })
    }
  }
}
if (values.variants) {
  const base = ['--seed', String(firstSeed)]
  for (const preset of presets) {
    const add = (name, gen, inspect = []) =>
      cases.push({ name: `${preset}-${name}`, gen: [...base, '--preset', preset, ...gen], inspect })
    for (const format of ['le-us', 'le-ns', 'be-us', 'be-ns', 'pcapng']) add(`format-${format}`, ['--format', format])
    for (const type of ['ethernet', 'raw', 'sll', 'sll2', 'null']) add(`link-${type}`, ['--linktype', type])
    add('vni-clash', ['--vxlan', '--vni-clash', '0.3'], ['--flow-key', 'vni'])
    add('double-mirror', ['--vxlan', '--double-mirror', '0.3'])
    add('outer-vlan', ['--vxlan', '--outer-vlan'])
    add('snaplen', ['--snaplen', '400'])
    add('jumbo', ['--mss', '536,1448,8948,65000', '--body', '10k-200k'])
    add('handshake', ['--reorder-handshake', '--conflict-order', 'before'])
  }
}

let passed = 0
let failed = 0
const known = new Set(values.open.split(',').filter((name) => name !== ''))
let open = 0
const queue = [...cases]
await Promise.all(
  Array.from({ length: Number(values.jobs) }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const faults = await check(next)
      const isOpen = known.has(next.name)
      if (faults.length === 0 && !isOpen) passed++
      else if (isOpen && faults.length > 0 && faults.every(isOnlyMissing)) {
        open++
        for (const fault of faults) console.log(`OPEN ${fault}`)
      } else {
        failed++
        for (const fault of faults) console.log(`FAIL ${fault}`)
        if (faults.length === 0) console.log(`FAIL ${next.name} passes: it is open no more`)
      }
    }
  }),
)
rmSync(folder, { recursive: true, force: true })
console.log(`generated captures: ${passed} passed, ${failed} failed, ${open} open`)
process.exit(failed === 0 ? 0 : 1)
