// Called by mirror-setups.sh, which says what it is and what it needs.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ALL_SETUPS } from './setups.mjs'
import { PEER, World } from './world.mjs'

/** `run` must say it within this time of its line `receiving`. Where it says nothing, it has had that time. */
const MOST_MS = 10_000
const MOST_START_MS = 30_000
const PROGRAM = 'dist/src/main.js'
const PAGE = 'docs/diagnose.md'

const { values } = parseArgs({ options: { only: { type: 'string' }, write: { type: 'boolean' } } })
const hasNft = spawnSync('nft', ['--version']).status === 0
const wanted = ALL_SETUPS.filter(({ name }) => values.only === undefined || values.only.split(',').includes(name))
const rows = []
let failed = 0
for (const [i, setup] of wanted.entries()) {
  if (setup.nft && !hasNft) {
    console.log(`skipped ${setup.name}: no nft`)
    continue
  }
  const found = await tryOut(setup, `ms${process.pid}-${i}`)
  const isRight =
    setup.expect === null
      ? found.run === null && found.status === 'ok' && found.replayed > 0 && found.doctor.code === 0
      : found.run?.finding === setup.expect &&
        found.codes.includes(setup.expect) &&
        found.doctor.text.includes(setup.expect)
  if (!isRight) failed++
  console.log(`${isRight ? 'ok   ' : 'WRONG'} ${setup.name}: ${setup.what}`)
  console.log(
    `      run after ${(found.ms / 1000).toFixed(1)} s: ${found.run === null ? 'nothing' : `${found.run.finding}: ${found.run.msg}`}`,
  )
  console.log(`      /diagnose: ${found.status} (${found.codes.join(', ')}), ${found.replayed} requests replayed`)
  console.log(`      doctor: exit code ${found.doctor.code}`)
  if (!isRight) console.log(found.doctor.text)
  rows.push({ setup, found })
}
if (values.write) writeTable()
console.log(`${rows.length - failed} as expected, ${failed} wrong`)
process.exitCode = failed === 0 ? 0 : 1

async function tryOut(setup, name) {
  const world = new World(name)
  try {
    world.open()
    world.serve()
    const origin = world.spawn(world.target, [process.execPath, PEER, 'origin'])
    let replayed = 0
    createInterface(origin.stdout).on('line', () => replayed++)
    world.tunnel(setup.tunnel)
    if (setup.mirror !== null) world.mirror(...setup.mirror)
    setup.change?.(world)
    await sleep(300)
    world.traffic(setup.traffic)

    const options = [...setup.listen, '--to', setup.to, '--workers', '1', '--memory-limit', '400MiB', ...setup.options]
    const service = world.spawn(world.target, [process.execPath, PROGRAM, 'run', ...options], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const lines = []
    createInterface(service.stderr).on('line', (line) => lines.push({ ms: performance.now(), ...parsed(line) }))
    const wait = async (condition, limitMs) => {
      for (const end = performance.now() + limitMs; !condition() && performance.now() < end; ) await sleep(20)
    }
    const receiving = () => lines.find(({ msg }) => msg === 'receiving')
    await wait(receiving, MOST_START_MS)
    if (receiving() === undefined) throw new Error(`run does not start: ${JSON.stringify(lines)}`)
    const told = () =>
      lines.find(({ finding }) => finding !== undefined && finding === (setup.expect ?? finding)) ?? null
    await wait(told, MOST_MS)
    const run = told()
    const ms = (run?.ms ?? performance.now()) - receiving().ms
    const diagnosis = JSON.parse(world.in(world.target, 'curl', '-s', 'http://127.0.0.1:9464/diagnose'))
    const doctor = spawnSync('ip', ['netns', 'exec', world.target, process.execPath, PROGRAM, 'doctor', ...options], {
      encoding: 'utf8',
    })
    service.kill('SIGTERM')
    await once(service, 'exit')
    return {
      ms,
      run,
      status: diagnosis.status,
      codes: diagnosis.findings.map(({ code }) => code),
      replayed,
      doctor: { code: doctor.status, text: `${doctor.stdout}${doctor.stderr}` },
    }
  } finally {
    await world.close()
  }
}

function parsed(line) {
  try {
    return JSON.parse(line)
  } catch {
    return {}
  }
}

function writeTable() {
  const cell = (text) => text.replaceAll('|', '\\|')
  const lines = rows.map(({ setup, found }) => {
    const run = found.run === null ? 'nothing' : cell(found.run.msg)
    const codes = found.codes.map((code) => `\`${code}\``).join(', ') || 'no finding'
    return `| ${cell(setup.what)} | ${found.run === null ? '' : `${(found.ms / 1000).toFixed(1)} s`} | ${run} | ${codes}; exit code ${found.doctor.code} |`
  })
  const table = [
    '| set-up | after | `run` says | `/diagnose` and `doctor` |',
    '| --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
  const [before, rest] = readFileSync(PAGE, 'utf8').split(/(?<=<!-- made by .*-->\n)/)
  writeFileSync(PAGE, `${before}\n${table}\n\n${rest.slice(rest.indexOf('<!-- end -->'))}`)
}
