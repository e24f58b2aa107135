/** Everything that the log tells of trouble, provoked for real: one line when it begins, one when it is over, and few of them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { LOG_EVENTS } from '../../src/report/log-events.ts'
import { TEST_CERTIFICATE, TEST_KEY } from '../sinks/replay/support/tls-certificate.ts'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { connectionOf, Load, Mirror } from './support/mirror.ts'
import { Origin, ok } from './support/origin.ts'
import { closeAll, openProgram, type Program, type ProgramOrder } from './support/program.ts'

afterAll(closeAll)

interface LogLine {
  readonly level: number
  readonly msg: string
  readonly event: string
  readonly text: string
  readonly [field: string]: unknown
}

/** What the program has said since it receives, each a JSON line with the fields that the table gives its event. */
function eventsOf(program: Program): LogLine[] {
  const lines = program.said.map((line) => JSON.parse(line) as LogLine)
  for (const { level, time, name, event, text, msg, timesMore, heldSeconds, ...fields } of lines) {
    const entry = LOG_EVENTS[event as keyof typeof LOG_EVENTS]
    expect([event, typeof text, entry?.level]).toEqual([
      event,
      'string',
      ({ 30: 'info', 40: 'warn', 50: 'error' } as const)[level as 30],
    ])
    expect(msg).toBe(level === 30 ? event : text)
    if (event !== 'summary') expect(Object.keys(fields).sort()).toEqual([...entry.fields].sort())
  }
  return lines
}

function linesOf(program: Program, event: string): LogLine[] {
  return eventsOf(program).filter((line) => line.event === event)
}

async function line(program: Program, event: string, limitMs = 20_000): Promise<LogLine> {
  await until(`the log tells ${event}`, () => linesOf(program, event).length > 0, limitMs)
  return linesOf(program, event)[0]!
}

/** Lines as they were written, for docs and for whoever reads the report. */
function show(program: Program, ...events: string[]): void {
  for (const { event, text } of eventsOf(program)) if (events.includes(event)) console.log(`      ${event}: ${text}`)
}

let paths = 0
const small = () => [
  { method: 'GET', target: `/secret-path/${++paths}?token=secret-query`, fields: ['X-Key: secret-value'] },
]

/** Under a little load. */
async function underLoad(
  order: ProgramOrder,
  perSecond = 30,
): Promise<{ program: Program; mirror: Mirror; load: Load }> {
  const program = await openProgram(order)
  const mirror = await Mirror.open(program.port)
  const load = new Load(mirror, small).start(perSecond)
  onTestFinished(() => {
    load.stop()
    mirror.close()
  })
  return { program, mirror, load }
}

/** Nothing of a request is in the log. */
function expectNoSecrets(program: Program): void {
  expect(program.said.join('\n')).not.toMatch(/secret/)
}

describe.each(['wire', 'undici'])('an origin, --engine %s', (engine) => {
  test('that goes away and comes back: one line each, whatever the number of workers', async () => {
    const origin = await Origin.listen()
    const { program, load } = await underLoad({ to: origin.url, workers: 2, engine })
    const first = [
      await line(program, 'first-packet'),
      await line(program, 'first-request'),
      await line(program, 'first-answer'),
    ]
    expect(first[2]!.status).toBe('2xx')
    await origin.goDown()
    const down = await line(program, 'origin-down')
    expect(down).toMatchObject({ level: 40, origin: `127.0.0.1:${origin.port}`, workers: 2 })
    expect(['refused', 'reset']).toContain(down.outcome)
    await sleep(3000)
    await origin.comeUp()
    const up = await line(program, 'origin-up')
    expect(up.seconds).toBeGreaterThan(2)
    expect(up.failed).toBeGreaterThan(0)
    load.stop()
    await program.settled()
    show(program, 'first-packet', 'first-request', 'first-answer', 'origin-down', 'origin-up')
    const told = eventsOf(program).map(({ event }) => event)
    expect(told.filter((event) => event === 'origin-up')).toHaveLength(1)
    // Told once; a second time only where the cause changed, from connections that were reset to ones that are refused.
    expect(told.filter((event) => event === 'origin-down').length).toBeLessThanOrEqual(2)
    expect(told).not.toContain('unanswered')
    await program.finish()
    expectNoSecrets(program)
    await origin.close()
  })

  test('that does not answer connection attempts: the time-out is named', async () => {
    const origin = await Origin.listen()
    const { port } = origin
    await origin.close()
    const script = fileURLToPath(new URL('support/slow-acceptor.mjs', import.meta.url))
    const child: ChildProcess = fork(script, [String(port)], { execArgv: [] })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'message')
    child.kill('SIGSTOP')
    const args = ['--connect-timeout-ms', '500', '--request-timeout-ms', '1000', '--headers-timeout-ms', '1000']
    const { program } = await underLoad({ to: `http://127.0.0.1:${port}`, workers: 1, engine, args })
    expect(await line(program, 'origin-down')).toMatchObject({ outcome: 'connectTimeout', code: null })
    show(program, 'origin-down')
    child.kill('SIGCONT')
    await line(program, 'origin-up', 30_000)
    show(program, 'origin-up')
  })

  test('whose name does not resolve', async () => {
    const { program } = await underLoad({ to: 'http://staging.invalid:8080', workers: 1, engine })
    const told = await line(program, 'origin-name', 30_000)
    expect(told).toMatchObject({ origin: 'staging.invalid:8080', outcome: 'unreachable' })
    expect(['ENOTFOUND', 'EAI_AGAIN']).toContain(told.code)
    show(program, 'origin-name')
  })

  describe('with TLS', () => {
    async function tlsOrigin(): Promise<number> {
      const server = createTlsServer({ cert: TEST_CERTIFICATE, key: TEST_KEY }, (_request, response) =>
        response.end('ok'),
      )
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => {
        server.closeAllConnections()
        server.close()
      })
      return (server.address() as AddressInfo).port
    }
    function trusted(): string[] {
      const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-ca-'))
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
      writeFileSync(join(folder, 'ca.pem'), TEST_CERTIFICATE)
      return ['--tls-ca', join(folder, 'ca.pem')]
    }

    test.each([
      { what: 'a self-signed certificate', code: 'DEPTH_ZERO_SELF_SIGNED_CERT', args: () => [] },
      { what: 'a certificate for another name', code: 'ERR_TLS_CERT_ALTNAME_INVALID', args: trusted },
    ])('$what: the check that failed is named', async ({ code, args }) => {
      const to = `https://127.0.0.1:${await tlsOrigin()}`
      const { program } = await underLoad({ to, workers: 2, engine, args: args() })
      expect(await line(program, 'origin-tls')).toMatchObject({ level: 40, outcome: 'tls', code })
      show(program, 'origin-tls')
      expect(linesOf(program, 'origin-tls')).toHaveLength(1)
    })

    test('on a port that does not speak it', async () => {
      const origin = await Origin.listen()
      onTestFinished(() => origin.close())
      const { program } = await underLoad({ to: `https://127.0.0.1:${origin.port}`, workers: 1, engine })
      // The origin waits for a head that never comes where the client's hello has no line feed.
      origin.atAccept = (socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
        return true
      }
      expect(await line(program, 'origin-tls')).toMatchObject({ outcome: 'tls' })
      show(program, 'origin-tls')
    })
  })
})

test('an origin that answers with 5xx only, and recovers', async () => {
  const origin = await Origin.listen()
  onTestFinished(() => origin.close())
  origin.answer = (_request, socket) => {
    socket.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
  }
  const { program } = await underLoad({ to: origin.url, workers: 1 })
  expect(await line(program, 'origin-errors')).toMatchObject({ level: 40, share: 1 })
  origin.answer = (_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  }
  await line(program, 'origin-errors-ended', 30_000)
  show(program, 'origin-errors', 'origin-errors-ended')
})

test('an origin that takes requests and answers none, and answers again', async () => {
  const origin = await Origin.listen()
  onTestFinished(() => origin.close())
  origin.answer = () => {}
  const { program } = await underLoad({ to: origin.url, workers: 2, args: ['--request-timeout-ms', '30s'] }, 3)
  expect(await line(program, 'origin-silent')).toMatchObject({ level: 40 })
  origin.answer = ok
  await line(program, 'origin-up')
  show(program, 'origin-silent', 'origin-up')
})

test('loss at the receive buffer: kernel drops, gaps and bad health, and their end', async () => {
  const origin = await Origin.listen()
  onTestFinished(() => origin.close())
  const { program, mirror } = await underLoad({ to: origin.url, workers: 1, args: ['--receive-buffer-bytes', '65536'] })
  await line(program, 'first-answer')
  program.service.child.kill('SIGSTOP')
  for (let n = 0; n < 300; n++)
    await mirror.send(connectionOf([{ method: 'POST', target: `/flood/${n}`, body: Buffer.alloc(5000) }]))
  program.service.child.kill('SIGCONT')
  const drops = await line(program, 'kernel-drops')
  expect(drops.count).toBeGreaterThan(100)
  await line(program, 'health-bad')
  await line(program, 'health-good')
  await until(
    'the end of the loss is told',
    () => linesOf(program, 'loss-ended').some(({ loss }) => loss === 'kernel-drops'),
    45_000,
  )
  const { kernelDrops } = await program.ledger()
  const ended = linesOf(program, 'loss-ended').find(({ loss }) => loss === 'kernel-drops')!
  expect([ended.count, ended.reasons]).toEqual([kernelDrops, { kernelDropped: kernelDrops }])
  show(
    program,
    'kernel-drops',
    'gaps',
    'requests-incomplete',
    'requests-unfinished',
    'health-bad',
    'health-good',
    'loss-ended',
  )
})

test.each(['shard', 'receiver'])('the death of a %s, and its return, with what was lost', async (thread) => {
  const origin = await Origin.listen()
  onTestFinished(() => origin.close())
  const receivers = thread === 'receiver' ? 2 : 1
  const { program } = await underLoad({ to: origin.url, workers: 2, receivers }, 200)
  await line(program, 'first-answer')
  await program.break(`${thread}=0`, 'throw')
  const name = thread === 'shard' ? 'worker' : 'receiver'
  expect(await line(program, `${name}-died`)).toMatchObject({ level: 40, [thread]: 0, restartMs: 50 })
  const back = await line(program, `${name}-back`)
  const { packetDrops, requestDrops } = await program.ledger()
  if (thread === 'shard')
    expect([back.packetsLost, back.requestsLost]).toEqual([packetDrops.shardLost ?? 0, requestDrops.shardLost ?? 0])
  else expect(back.packetsLost).toBe(packetDrops.receiverLost ?? 0)
  show(program, `${name}-died`, `${name}-back`)
  await program.finish()
  expectNoSecrets(program)
})

test('a reload that is done, one that is partly, and one that is refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-reload-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const config = join(folder, 'mirrorshard.yaml')
  writeFileSync(config, 'percent: 100\n')
  const program = await openProgram({ to: 'null', args: ['--config', config] })
  for (const [event, text] of [
    ['reloaded', 'percent: 50\n'],
    ['reload-partly', 'percent: 50\nmax-flows: 1000\n'],
    ['reload-refused', 'percent: 500\n'],
  ] as const) {
    writeFileSync(config, text)
    program.service.child.kill('SIGHUP')
    await line(program, event)
  }
  show(program, 'reloaded', 'reload-partly', 'reload-refused')
  await program.finish()
  expect(
    eventsOf(program)
      .map(({ event }) => event)
      .slice(-3),
  ).toEqual(['draining', 'drained', 'summary'])
  show(program, 'draining', 'drained', 'summary')
})

/** As many connections as make 5,000 requests a second with ten each. */
const CONNECTIONS_PER_SECOND = 500
const MINUTE_MS = 60_000

test('an origin that goes down and up every few seconds under 5,000 requests/s: a handful of lines in a minute', async () => {
  const origin = await Origin.listen()
  onTestFinished(() => origin.close())
  const program = await openProgram({ to: origin.url, workers: 1 })
  const mirror = await Mirror.open(program.port)
  let n = 0
  const load = new Load(mirror, () => Array.from({ length: 10 }, () => ({ method: 'GET', target: `/${++n}` })))
  onTestFinished(() => {
    load.stop()
    mirror.close()
  })
  load.start(CONNECTIONS_PER_SECOND)
  await line(program, 'first-answer')
  const before = program.said.length
  const startedMs = performance.now()
  let outages = 0
  while (performance.now() - startedMs < MINUTE_MS) {
    await sleep(2500)
    await origin.goDown()
    outages++
    await sleep(2500)
    await origin.comeUp()
  }
  // Held back for their minute, then told once with how often it happened.
  await until('what was held back is told', () => eventsOf(program).some(({ timesMore }) => Number(timesMore) > 5))
  const { parsed } = await program.ledger()
  const seconds = (performance.now() - startedMs) / 1000
  load.stop()
  const lines = eventsOf(program).slice(before)
  const byEvent: Record<string, number> = {}
  for (const { event } of lines) byEvent[event] = (byEvent[event] ?? 0) + 1
  for (const { event, text } of lines) console.log(`      ${event}: ${text}`)
  tellFigures({
    'requests a second': Math.round(parsed / seconds),
    outages,
    lines: lines.length,
    seconds: Math.round(seconds),
    'by event': byEvent,
  })
  expect(parsed).toBeGreaterThan(100_000)
  expect(outages).toBeGreaterThan(8)
  // Beginnings and ends of a few subjects, two lines each; the rest is told together when the minute is over.
  expect(byEvent['origin-down']).toBeGreaterThan(0)
  expect(lines.length).toBeLessThanOrEqual(20)
  await program.finish()
})
