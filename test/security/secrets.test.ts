/** Captured values go where the user asked and nowhere else; what we write is for its owner. */
import { createHmac } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { PcapWriter } from '../../src/sources/files/pcap-writer.ts'
import { RawOrigin, says } from '../sinks/replay/support/raw-origin.ts'
import { framesOf, type Talk, writeCapture } from './support/captured-frames.ts'
import { folder, run, service } from './support/program.ts'

/** Stands in every place of a message that a person may keep a secret in. */
const MARK = 'S3CR3T-d41d8cd98f'

const TALKS: readonly Talk[] = [
  {
    request: `POST /login/${MARK}?token=${MARK} HTTP/1.1\r\nHost: ${MARK}.example\r\nAuthorization: Bearer ${MARK}\r\nCookie: a=${MARK}\r\nX-${MARK}: 1\r\nContent-Length: ${MARK.length}\r\n\r\n${MARK}`,
    response: `HTTP/1.1 200 OK\r\nSet-Cookie: sid=${MARK}\r\nContent-Length: ${MARK.length}\r\n\r\n${MARK}`,
  },
  // Each ends in a drop or a failure of its own, which somebody might want to log with an example.
  { request: `GET /${MARK} HTTP/1.1\r\n${MARK} : x\r\n\r\n` },
  { request: `GET /${MARK} HTTP/1.1\r\nHost: a\r\nContent-Length: ${MARK}\r\n\r\n` },
  { request: `GET /${MARK} HTTP/1.1\r\nHost: a\r\nHost: ${MARK}\r\n\r\n` },
  { request: `CONNECT ${MARK}:443 HTTP/1.1\r\nHost: ${MARK}\r\n\r\n` },
  { request: `OPTIONS * HTTP/1.1\r\nHost: ${MARK}\r\n\r\n` },
  { request: `GET /\xff${MARK} HTTP/1.1\r\nHost: ${MARK}\r\nX: \x01${MARK}\r\n\r\n` },
  { request: `${MARK} nonsense\r\n\r\n` },
]

let origin: RawOrigin | null = null

afterEach(async () => {
  await origin?.close()
  origin = null
})

describe('nothing captured is logged at any level', () => {
  test.each(['wire', 'undici'])('by replay with engine %s, whatever becomes of the requests', async (engine) => {
    origin = await RawOrigin.listen(says(`HTTP/1.1 200 ${MARK}\r\nX: ${MARK}\r\nContent-Length: 3\r\n\r\nabc${MARK}`))
    const path = folder()
    const file = writeCapture(join(path, 'a.pcap'), TALKS)
    const summary = join(path, 'summary.json')
    const result = await run(
      [
        ...['replay', file, '--to', origin.url.origin, '--engine', engine, '--speed', 'max'],
        ...['--log-level', 'trace', '--workers', '1', '--summary', summary],
      ],
      { MIRRORSHARD_DEBUG: '1' },
    )
    expect(origin.requests.length).toBeGreaterThan(0)
    expect(result.stderr).toContain('requests')
    expect(result.stderr + result.stdout).not.toContain(MARK)
    expect(statSync(summary).mode & 0o777).toBe(0o600)
  })

  test('by a running service, nor shown on its admin pages', async () => {
    origin = await RawOrigin.listen(says(`HTTP/1.1 500 ${MARK}\r\nContent-Length: 0\r\n\r\n`))
    const running = await service(['--to', origin.url.origin, '--log-level', 'trace'], { MIRRORSHARD_DEBUG: '1' })
    const socket = createSocket('udp4')
    for (const frame of framesOf(TALKS)) {
      const datagram = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0, 7, 0]), frame])
      await new Promise<void>((resolve) => socket.send(datagram, running.port, '127.0.0.1', () => resolve()))
    }
    socket.close()
    await origin.received(1)
    const pages = await Promise.all(
      ['/', '/metrics', '/summary', '/diagnose', '/healthz', `/${MARK.toLowerCase()}`].map(async (path) =>
        (await fetch(running.admin + path)).text(),
      ),
    )
    const { stderr, stdout } = await running.stop()
    expect(stderr).toContain('draining')
    expect(stderr + stdout + pages.join('')).not.toContain(MARK)
  })

  test('by inspect, whose output alone has it', async () => {
    const result = await run(['inspect', writeCapture(join(folder(), 'a.pcap'), TALKS), '--log-level', 'trace'])
    expect(result.stdout).toContain(MARK)
    expect(result.stderr).not.toContain(MARK)
  })
})

describe('inspect --redact', () => {
  const names = 'authorization,Cookie,set-cookie,proxy-authorization'
  const secret: Talk = {
    request: `GET /a HTTP/1.1\r\nHost: h\r\naUTHORIZATION: Bearer ${MARK}\r\nCookie: a=${MARK}\r\nCookie: a=${MARK}\r\nX-Kept: kept\r\n\r\n`,
    response: `HTTP/1.1 103 Early\r\nSet-Cookie: e=${MARK}\r\n\r\nHTTP/1.1 200 OK\r\nset-cookie: a=${MARK}\r\nContent-Length: 0\r\n\r\n`,
  }

  test.each(['ndjson', 'table', 'har'])(
    'replaces values in requests, answers and interim answers (%s)',
    async (format) => {
      const file = writeCapture(join(folder(), 'a.pcap'), [secret])
      const plain = await run(['inspect', file, '--format', format])
      const { stdout, stderr, code } = await run([
        'inspect',
        file,
        '--format',
        format,
        '--redact',
        names,
        '--workers',
        '1',
      ])
      expect(code).toBe(0)
      expect(stdout + stderr).not.toContain(MARK)
      if (format === 'table') return
      expect(plain.stdout).toContain(MARK)
      expect(stdout).toContain('kept')
      // Nothing but the values differs: names keep their case and their order.
      const values = /"(Bearer |[ae]=)S3CR3T-d41d8cd98f"/g
      // In HAR also what is read from these values: their cookies, and the size of the head.
      const derived = /"cookies":\[[^\]]*\]|"headersSize":-?\d+/g
      const expected = plain.stdout.replace(values, '"[redacted]"')
      expect(stdout.replace(derived, '')).toBe(expected.replace(derived, ''))
      expect(stdout).not.toMatch(/"cookies":\[\{/)
    },
  )

  test('with a key keeps equal values equal, and differing ones apart', async () => {
    const path = folder()
    const [key, otherKey] = [join(path, 'key'), join(path, 'other')]
    writeFileSync(key, '0123456789abcdef0123456789abcdef\n', { mode: 0o600 })
    writeFileSync(otherKey, 'fedcba9876543210fedcba9876543210\n', { mode: 0o600 })
    const file = writeCapture(join(path, 'a.pcap'), [secret])
    const words = ['inspect', file, '--redact', names, '--redact-key-file']
    const { stdout } = await run([...words, key])
    expect(stdout).not.toContain(MARK)
    const { headers, response } = JSON.parse(stdout)
    expect(headers[1][1]).toMatch(/^hmac:[0-9a-f]{16}$/)
    expect(headers[2][1]).toBe(headers[3][1])
    expect(headers[1][1]).not.toBe(headers[2][1])
    expect(response.headers[0][1]).toBe(headers[2][1])
    const hmac = createHmac('sha256', '0123456789abcdef0123456789abcdef').update(`a=${MARK}`).digest('hex')
    expect(headers[2][1]).toBe(`hmac:${hmac.slice(0, 16)}`)
    expect((await run([...words, otherKey])).stdout).not.toContain(headers[2][1])
  })

  test('refuses a key that is short, or that everybody can read', async () => {
    const path = folder()
    const file = writeCapture(join(path, 'a.pcap'), [secret])
    const [short, open] = [join(path, 'short'), join(path, 'open')]
    writeFileSync(short, 'short', { mode: 0o600 })
    writeFileSync(open, 'x'.repeat(32))
    chmodSync(open, 0o644)
    const words = ['inspect', file, '--redact', 'cookie', '--redact-key-file']
    expect(await run([...words, short])).toMatchObject({
      code: 78,
      stdout: '',
      stderr: expect.stringContaining('at least 16'),
    })
    expect(await run([...words, open])).toMatchObject({
      code: 78,
      stdout: '',
      stderr: expect.stringContaining('mode 0644'),
    })
    expect(await run(['inspect', file, '--redact-key-file', short])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--redact'),
    })
  })
})

test('a capture file is for its owner alone, also where one for everybody stood', () => {
  const path = folder()
  const [fresh, old] = [join(path, 'fresh.pcap'), join(path, 'old.pcap')]
  writeFileSync(old, 'what was there')
  chmodSync(old, 0o666)
  for (const file of [fresh, old]) {
    PcapWriter.create(file, 1).close()
    expect(statSync(file).mode & 0o777).toBe(0o600)
  }
})

test('a summary is for its owner alone; a file that was there keeps its mode', async () => {
  const path = folder()
  const capture = writeCapture(join(path, 'a.pcap'), TALKS)
  const [fresh, old] = [join(path, 'fresh.json'), join(path, 'old.json')]
  writeFileSync(old, 'what was there')
  chmodSync(old, 0o644)
  for (const [file, mode] of [
    [fresh, 0o600],
    [old, 0o644],
  ] as const) {
    await run(['replay', capture, '--to', 'null', '--speed', 'max', '--workers', '0', '--summary', file])
    expect(statSync(file).mode & 0o777).toBe(mode)
    const text = readFileSync(file, 'utf8')
    expect(JSON.parse(text).requests.parsed).toBeGreaterThan(0)
    expect(text).not.toContain(MARK)
  }
})
