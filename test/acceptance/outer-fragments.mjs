// VXLAN datagrams whose outer IP packets are fragmented, through `run`: sockets, where the kernel puts them together, or an interface, where
// we do. Then a flood of fragments that never complete, beside more traffic. Every request must arrive once, unaltered; the flood stays in
// its bounds and is counted. Called by outer-fragments.sh, in a network namespace whose loopback has a small MTU.
//
//   node outer-fragments.mjs sockets|interface SUMMARY
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Judge } from '../../dist/src/demo/judge.js'
import { openOrigin } from '../../dist/src/demo/origin.js'
import { SampleTraffic } from '../../dist/src/demo/traffic/sample-traffic.js'

const PORT = 4789
const SEED = 11
const REQUESTS = 1200
const FLOOD = 6000
const FLOOD_BYTES = 1000
const MOST_DATAGRAMS = 256
const MOST_BYTES = 512 * 1024
const TIMEOUT_MS = 2000

const FLOOD_PROGRAM = `
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack('>HHHH', 40000, ${PORT}, 2000, 0)
more = 0x2000
for i in range(${FLOOD}):
    source = bytes([127, 9, i >> 8, 1])
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + ${FLOOD_BYTES}, 1 + i, more, 64, 17, 0, source, bytes([127, 0, 0, 1]))
    s.sendto(ip + udp + bytes(${FLOOD_BYTES} - 8), ('127.0.0.1', 0))
    if i % 16 == 15: time.sleep(0.004)
`

const [mode, summaryPath] = process.argv.slice(2)
const faults = []
const check = (what, isTrue) => {
  console.log(`${isTrue ? 'ok   ' : 'WRONG'} ${what}`)
  if (!isTrue) faults.push(what)
}
const kernel = () => {
  const [names, values] = readFileSync('/proc/self/net/snmp', 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('Ip: '))
    .map((line) => line.split(' '))
  return Object.fromEntries(names.map((name, i) => [name, Number(values[i])]))
}
const until = async (condition, limitMs) => {
  for (const end = performance.now() + limitMs; !(await condition()) && performance.now() < end; ) await sleep(100)
}

let judge
const origin = await openOrigin((arrival) => judge.arrives(arrival))
const host = `127.0.0.1:${origin.port}`
judge = new Judge(host)
// Somebody must have the port, or loopback is full of ICMP.
const blackHole = mode === 'interface' ? createSocket('udp4') : null
if (blackHole !== null) {
  blackHole.bind(PORT, '127.0.0.1')
  await once(blackHole, 'listening')
}
const service = spawn(
  process.execPath,
  [
    ...[
      'dist/src/main.js',
      'run',
      '--to',
      `http://127.0.0.1:${origin.port}`,
      '--admin',
      '127.0.0.1:9464',
      '--workers',
      '1',
      '--summary',
      summaryPath,
    ],
    ...(mode === 'interface'
      ? ['--interface', 'lo', '--filter', 'udp', '--capture-buffer-bytes', '256MiB']
      : ['--listen', `vxlan:127.0.0.1:${PORT}`]),
    ...['--fragment-datagrams', String(MOST_DATAGRAMS), '--fragment-bytes', String(MOST_BYTES)],
    ...['--fragment-timeout-ms', String(TIMEOUT_MS), '--reorder-window-ms', '500'],
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
)
const ended = once(service, 'exit')
await new Promise((resolve, reject) => {
  createInterface(service.stderr).on('line', (line) => {
    if (!line.includes('"msg":"receiving"')) console.log(line)
    else resolve()
  })
  ended.then(([code]) => reject(new Error(`run ended with ${code}`)))
})
const get = async (path) => (await fetch(`http://127.0.0.1:9464${path}`)).text()
const metric = (page, name) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(page)?.[1])

const socket = createSocket('udp4')
let frames = []
const traffic = new SampleTraffic(SEED, {
  request: (request) => judge.sends(request),
  frame: (frame, vni) => frames.push([vni, Buffer.from(frame)]),
})
const send = async () => {
  frames = []
  traffic.extend(REQUESTS)
  while (traffic.step());
  for (const [i, [vni, frame]] of frames.entries()) {
    socket.send([Buffer.from([8, 0, 0, 0, vni >>> 16, vni >>> 8, vni, 0]), frame], PORT, '127.0.0.1')
    if (i % 8 === 7) await sleep(2)
  }
}
const isUnaltered = ({ altered, duplicates, invented, examples }) => {
  if (altered + duplicates + invented > 0) console.log(examples)
  return altered + duplicates + invented === 0
}

let summary = null
try {
  const before = kernel()
  await send()
  await until(() => judge.missing === 0, 8000)
  const after = kernel()
  const first = judge.verdict()
  const fragments = after.FragCreates - before.FragCreates
  check(`${fragments} outer fragments were sent`, fragments > 500)
  check(
    `${first.exact} of ${first.sent} requests arrived, each once and unaltered`,
    first.exact === first.sent && isUnaltered(first),
  )
  const together = metric(await get('/metrics'), 'mirrorshard_fragment_datagrams_total')
  if (mode === 'interface') check(`${together} datagrams were put together here`, together > 200)
  else
    check(
      `${after.ReasmOKs - before.ReasmOKs} datagrams were put together by the kernel`,
      after.ReasmOKs - before.ReasmOKs > 200,
    )

  // First fragments, more to follow, which never do. Addresses and identifications make each a datagram of its own.
  const flood = spawn('python3', ['-c', FLOOD_PROGRAM], { stdio: 'inherit' })
  const flooded = once(flood, 'exit')
  let [mostHeld, mostBytes] = [0, 0]
  const watch = setInterval(async () => {
    const page = await get('/metrics').catch(() => '')
    mostHeld = Math.max(mostHeld, metric(page, 'mirrorshard_fragments_held') || 0)
    mostBytes = Math.max(mostBytes, metric(page, 'mirrorshard_fragment_store_bytes') || 0)
  }, 50)
  await send()
  const [status] = await flooded
  check(`${FLOOD} fragments that never complete were sent beside more traffic`, status === 0)
  await sleep(1500)
  clearInterval(watch)
  check('of the traffic beside the flood nothing was altered, doubled or invented', isUnaltered(judge.verdict()))
  // Each of the flood's datagrams has one fragment, each of the traffic's a few.
  check(
    `held at most ${mostHeld} fragments, ${mostBytes} bytes`,
    mostHeld <= MOST_DATAGRAMS * 1.5 && mostBytes <= MOST_BYTES,
  )
  if (mode === 'interface') {
    check('some were held', mostHeld > 0)
    await until(async () => metric(await get('/metrics'), 'mirrorshard_fragments_held') === 0, TIMEOUT_MS * 4)
    check('what never completes is given up', metric(await get('/metrics'), 'mirrorshard_fragments_held') === 0)
  } else {
    const failures = async () => metric(await get('/metrics'), 'mirrorshard_kernel_reassembly_failures_total')
    await until(async () => (await failures()) >= FLOOD / 2, 5000)
    check(`the kernel gave up ${await failures()} times, and we tell`, (await failures()) >= FLOOD / 2)
  }

  judge = new Judge(host)
  await send()
  await until(() => judge.missing === 0, 8000)
  const last = judge.verdict()
  check(
    `behind the flood ${last.exact} of ${last.sent} requests arrived, each once and unaltered`,
    last.exact === last.sent && isUnaltered(last),
  )
} finally {
  service.kill('SIGTERM')
  const [code] = await ended
  check(`run ended with ${code}`, code === 0)
  if (code === 0) summary = JSON.parse(readFileSync(summaryPath, 'utf8'))
  socket.close()
  blackHole?.close()
  await origin.close()
}
if (summary !== null) {
  const { received, processed, dropped } = summary.packets
  const sum = Object.values(dropped).reduce((a, b) => a + b, 0)
  check(
    `received ${received} = processed ${processed} + dropped ${JSON.stringify(dropped)}`,
    received === processed + sum,
  )
  const given = (dropped.fragmentLimit ?? 0) + (dropped.fragmentTimeout ?? 0)
  if (mode === 'interface') check(`${given} fragments counted as given up`, given >= FLOOD * 0.9)
}
process.exitCode = faults.length === 0 ? 0 : 1
