// Alerts and dashboard against a real Prometheus: it scrapes two `run`s under traffic, with the token, as deploy/prometheus/scrape.yml says.
//
// 1. While all is well: no alert fires; every alert's expression, its comparisons made to give 0 or 1, has a value: so its series exist and match.
// 2. What the alerts are for is done for real: the origin ends and comes back, a worker dies, a reload is refused, strangers send, a process is
//    killed, the mirror falls silent. Those alerts fire, for the right instance and in words, and no other.
// 3. Every query of the dashboard is answered, and has data.
//
// Windows and `for:` are shortened to seconds, thresholds are as they stand. Needs prometheus (Debian's package). About a minute.
//
//   node test/acceptance/prometheus.mjs [--page FILE]     FILE: the dashboard with its data, as a page (dashboard-page.mjs)
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import { endWithThisProcess, owned } from '../../dist/bench/support/children.js'
import { freePort } from '../../dist/bench/support/free-port.js'
import { findOnPath } from '../../dist/bench/support/processes.js'
import { openService } from '../../dist/bench/support/service.js'
import { readRules } from '../../dist/deploy/prometheus/rules.js'
import { SampleTraffic } from '../../dist/src/demo/traffic/sample-traffic.js'
import { dashboardPage } from './dashboard-page.mjs'

const SEED = 7
const PACKETS_PER_SECOND = 600
/** Windows of the rules, here: ten scrapes. */
const WINDOW_S = 10
const FOR = '2s'
const JOB = 'mirrorshard'
/** VNI of the strangers. */
const STRANGE_VNI = 0xabcdef
const TOKEN = 'a-token-of-this-test-alone-0123456789'

/** Expressions that are empty while all is well, and why that says nothing. */
const EMPTY_WHILE_WELL = new Map([['MirrorshardAbsent', 'absent() is empty while there is a target']])

/** Alerts about speed: a machine that is busy with other work brings them about, and rightly. They are told and not held against the rules. */
const OF_SPEED = ['MirrorshardLate', 'MirrorshardOverloaded', 'MirrorshardKernelDrops', 'MirrorshardOriginTooSlow']

if (findOnPath('prometheus') === null) {
  console.log('skipped: no prometheus (Debian’s package of that name)')
  process.exit(0)
}
const pageAt = process.argv.indexOf('--page')
const startedMs = performance.now()
const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-prometheus-'))
endWithThisProcess(folder)
const faults = []
const check = (what, isTrue, why = '') => {
  console.log(`${isTrue ? 'ok   ' : 'WRONG'} ${what}${isTrue || why === '' ? '' : `: ${why}`}`)
  if (!isTrue) faults.push(what)
}
const seconds = () => ((performance.now() - startedMs) / 1000).toFixed(0)

// The origin, on one port for its two lives.
const originPort = await freePort()
const openOrigin = async () => {
  let n = 0
  const server = createServer((request, response) => {
    request.resume()
    response.statusCode = ++n % 50 === 0 ? 500 : 200
    response.end('ok')
  })
  await new Promise((resolve) => server.listen(originPort, '127.0.0.1', resolve))
  return server
}
let origin = await openOrigin()

// Two instances: one that replays, one that looks on.
const tokenFile = join(folder, 'token')
writeFileSync(tokenFile, TOKEN, { mode: 0o600 })
const traffic = new SampleTraffic(SEED, {
  request: () => {},
  frame: (frame, vni) => frames.push([vni, Buffer.from(frame)]),
})
let frames = []
const nextFrames = () => {
  frames = []
  traffic.extend(400)
  while (traffic.step());
  return frames
}
const prepared = nextFrames()
const vnis = [...new Set(prepared.map(([vni]) => vni))]
const instance = async (to, options = {}) => {
  const config = join(mkdtempSync(join(folder, 'run-')), 'config.yaml')
  writeFileSync(config, stringify({ 'admin-token-file': tokenFile, vni: vnis, ...options }))
  const service = await openService(
    { to, workers: 2, receivers: 2, args: ['--config', config], env: { MIRRORSHARD_FAULTS: '1' } },
    join(config, '..'),
  )
  service.child.stderr.resume()
  return { ...service, config, name: service.admin.slice('http://'.length) }
}
// A short queue: while the origin is down it overflows, and what does not fit is dropped.
const a = await instance(`http://127.0.0.1:${originPort}`, { 'queue-requests': 200 })
const b = await instance('null')

// Traffic for both, at a steady rate until told.
const socket = createSocket('udp4')
let isSending = true
let strangers = 0
const vxlan = (vni) => Buffer.from([8, 0, 0, 0, vni >>> 16, (vni >>> 8) & 255, vni & 255, 0])
const sending = (async () => {
  const fromMs = performance.now()
  for (let sent = 0, queue = prepared, at = 0; isSending; await sleep(5)) {
    const due = Math.min(sent + 200, ((performance.now() - fromMs) / 1000) * PACKETS_PER_SECOND)
    for (; sent < due; sent++) {
      if (at === queue.length) [queue, at] = [nextFrames(), 0]
      const [vni, frame] = queue[at++]
      for (const { port } of [a, b]) socket.send([vxlan(vni), frame], port, '127.0.0.1')
      if (strangers > 0 && sent % 10 === 0) socket.send([vxlan(STRANGE_VNI), frame], strangers, '127.0.0.1')
    }
  }
})()

// Prometheus as the example has it, but for addresses and times.
const rulesText = readFileSync('deploy/prometheus/mirrorshard.rules.yml', 'utf8')
const { alerts, recorded } = readRules(rulesText)
const shortened = rulesText.replaceAll(/\[\d+[smhd]\]/g, `[${WINDOW_S}s]`).replaceAll(/^( +for:) \w+$/gm, `$1 ${FOR}`)
writeFileSync(join(folder, 'rules.yml'), shortened)
const config = parse(readFileSync('deploy/prometheus/scrape.yml', 'utf8'))
config.global = { scrape_interval: '1s', evaluation_interval: '1s' }
config.rule_files = [join(folder, 'rules.yml')]
config.scrape_configs[0].authorization.credentials_file = tokenFile
config.scrape_configs[0].static_configs = [{ targets: [a.name, b.name] }]
writeFileSync(join(folder, 'prometheus.yml'), stringify(config))
const prometheusPort = await freePort()
const prometheus = owned(
  spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${prometheusPort}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  ),
)

const api = async (path, fields = {}) => {
  const url = `http://127.0.0.1:${prometheusPort}/api/v1/${path}`
  const answer = await fetch(
    url,
    Object.keys(fields).length === 0 ? {} : { method: 'POST', body: new URLSearchParams(fields) },
  )
  const { status, error, data } = await answer.json()
  if (status !== 'success') throw new Error(error)
  return data
}
const query = async (expr) => (await api('query', { query: expr })).result
const until = async (what, limitS, condition) => {
  for (const end = performance.now() + limitS * 1000; performance.now() < end; await sleep(250))
    if (await condition().catch(() => false)) return true
  console.log(`      ${what}: not within ${limitS} s`)
  return false
}
const firing = async () =>
  (await api('alerts')).alerts
    .filter(({ state }) => state === 'firing')
    .map(({ labels, annotations }) => ({
      name: labels.alertname,
      at: labels.instance ?? labels.job,
      summary: annotations.summary,
    }))
const fires = async (name, at) => (await firing()).find((alert) => alert.name === name && alert.at === at)
const seen = new Map()
const told = new Set()
const note = async () => {
  for (const alert of await firing().catch(() => [])) {
    const key = `${alert.name} ${alert.at}`
    if (!OF_SPEED.includes(alert.name)) seen.set(key, alert.summary)
    else if (!told.has(key)) console.log(`      told, not judged: ${alert.summary}`)
    told.add(key)
  }
}
/** It fires, and what it says has no fault of its template in it. */
const mustFire = async (name, at, limitS = 25) => {
  const ok = await until(`${name} fires`, limitS, () => fires(name, at))
  const { summary = '' } = (await fires(name, at)) ?? {}
  check(`${name} fires: ${summary}`, ok && summary.includes(at) && !/\{\{|<error|%!|no value/.test(summary))
}

check(
  'both instances are scraped, with the token of the file',
  await until('up', 20, async () => (await query(`up{job="${JOB}"} == 1`)).length === 2),
)

// --- 1. While all is well ---
// What came before was Prometheus without a first scrape: that nothing is scraped may have fired, and is over with the next evaluation.
await until(
  'what fired before the first scrape is over',
  10,
  async () => !(await firing()).some(({ name }) => name === 'MirrorshardAbsent'),
)
const watch = setInterval(note, 500)
const fromS = Date.now() / 1000
await sleep((WINDOW_S + 4) * 1000)
await note()
console.log(`\n${seconds()} s: all is well`)
check('no alert fires', seen.size === 0, [...seen].join('; '))
/** Comparisons outside of braces that give 0 or 1 for each series: what is compared exists, and finds its partner. */
const asBool = (expr) =>
  expr.replaceAll(/\{[^}]*\}|(==|!=|>=|<=|>|<)/g, (found, operator) =>
    operator === undefined ? found : `${operator} bool`,
  )
let answered = 0
for (const { alert, expr } of alerts) {
  const result = await query(asBool(expr)).catch((error) => error)
  if (result instanceof Error) check(`${alert} is a query`, false, result.message)
  else if (result.length === 0 && !EMPTY_WHILE_WELL.has(alert)) check(`${alert} finds its series`, false, asBool(expr))
  else answered++
}
check(
  `${answered} of ${alerts.length} alerts find their series (but ${[...EMPTY_WHILE_WELL].join(': ')})`,
  answered === alerts.length,
)
const withoutValue = []
for (const { record } of recorded) {
  const result = await query(record)
  if (!result.some(({ value }) => value[1] !== 'NaN')) withoutValue.push(record)
}
check(
  `${recorded.length - withoutValue.length} of ${recorded.length} recorded queries have values`,
  withoutValue.length === 0,
  withoutValue.join(),
)

// --- 2. Trouble ---
console.log(
  `\n${seconds()} s: the origin ends, a worker of ${b.name} dies, its reload is refused, strangers send to it`,
)
origin.close()
origin.closeAllConnections()
strangers = b.port
const fault = await fetch(`${b.admin}/debug/fault?shard=0&kind=throw`, {
  method: 'POST',
  headers: { authorization: `Bearer ${TOKEN}` },
})
check('a worker was ended', fault.ok)
writeFileSync(b.config, 'percent: lots\n')
b.child.kill('SIGHUP')
await mustFire('MirrorshardThreadDied', b.name)
await mustFire('MirrorshardReloadRefused', b.name)
await mustFire('MirrorshardUnknownSource', b.name)
await mustFire('MirrorshardOriginDown', a.name)
await mustFire('MirrorshardUnanswered', a.name)
await mustFire('MirrorshardOriginTooSlow', a.name)
origin = await openOrigin()
check(
  'MirrorshardOriginDown is over when the origin is back',
  await until('over', 20, async () => !(await fires('MirrorshardOriginDown', a.name))),
)

// --- 3. The dashboard ---
console.log(`\n${seconds()} s: the dashboard`)
const dashboard = JSON.parse(readFileSync('deploy/grafana/mirrorshard.json', 'utf8'))
const filled = (text) =>
  text.replaceAll('$__rate_interval', '8s').replaceAll('$job', '.+').replaceAll('$instance', '.+')
const range = async (expr) =>
  (await api('query_range', { query: filled(expr), start: String(fromS), end: String(Date.now() / 1000), step: '1' }))
    .result
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const data = new Map()
let withData = 0
let queries = 0
for (const panel of panels) {
  for (const target of panel.targets) {
    queries++
    const result = await range(target.expr).catch((error) => error)
    data.set(target, result)
    if (result instanceof Error) check(`${panel.title}, ${target.refId} is a query`, false, result.message)
    else if (!result.some(({ values }) => values.some(([, value]) => value !== 'NaN')))
      check(`${panel.title}, ${target.refId} has data`, false, filled(target.expr))
    else withData++
  }
}
check(`${withData} of ${queries} queries in ${panels.length} panels have data`, withData === queries)
for (const { name, query: source } of dashboard.templating.list.filter(({ type }) => type === 'query')) {
  const [, match, label] = /^label_values\((.*), (\w+)\)$/.exec(source)
  const values = await api(`label/${label}/values?match[]=${encodeURIComponent(filled(match))}`)
  check(`$${name} offers ${values.join(', ')}`, values.length > 0)
}
const [{ expr: starts }] = dashboard.annotations.list
check('both starts are marked', (await query(filled(starts))).length === 2)
if (pageAt > 0)
  writeFileSync(
    process.argv[pageAt + 1],
    dashboardPage(dashboard, (target) => data.get(target)),
  )

// --- 2., continued ---
console.log(`\n${seconds()} s: ${b.name} is killed, then the mirror falls silent`)
b.child.kill('SIGKILL')
await mustFire('MirrorshardDown', b.name)
isSending = false
await sending
await mustFire('MirrorshardNothingArrives', JOB, WINDOW_S + 15)

clearInterval(watch)
await note()
const expected = new Set(
  [
    ...['ThreadDied', 'ReloadRefused', 'UnknownSource', 'Down'].map((name) => [name, b.name]),
    ...['OriginDown', 'Unanswered', 'OriginTooSlow'].map((name) => [name, a.name]),
    ['NothingArrives', JOB],
  ].map(([name, at]) => `Mirrorshard${name} ${at}`),
)
const unexpected = [...seen.keys()].filter((key) => !expected.has(key))
check('no other alert fired', unexpected.length === 0, unexpected.map((key) => `${key} (${seen.get(key)})`).join('; '))

socket.close()
origin.close()
origin.closeAllConnections()
await Promise.all([a.close(), new Promise((resolve) => prometheus.once('exit', resolve).kill('SIGTERM'))])
console.log(`\n${seconds()} s; ${faults.length === 0 ? 'all is as it should be' : `WRONG: ${faults.length}`}`)
process.exit(faults.length === 0 ? 0 : 1)
