import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { type AdminAccessOptions, tokenFault } from '../../src/report/admin-access.ts'
import type { Diagnosis } from '../../src/report/diagnosis/watch.ts'
import type { MetricsPage } from '../../src/report/metrics-page.ts'
import {
  type AdminSources,
  MAX_SERVER_CONNECTIONS,
  type OpenServer,
  openAdminServer,
  openHealthServer,
} from '../../src/report/servers.ts'
import type { Summary } from '../../src/report/summary.ts'

const TOKEN = 'a3f1c2d4e5b60718293a4b5c6d7e8f90'
const faults: string[] = []
const SOURCES: AdminSources = {
  metrics: { read: async () => ({ contentType: 'text/plain', text: 'up 1\n' }) } as unknown as MetricsPage,
  health: () => ({ isHealthy: true, reason: 'receiving' }),
  summary: () => ({ packets: { received: 1 } }) as Summary,
  diagnosis: () => ({ status: 'ok', findings: [] }) as unknown as Diagnosis,
  injectFault: (thread, index, kind) => {
    faults.push(`${thread} ${index} ${kind}`)
    return 'done'
  },
}

const open: OpenServer[] = []
const sockets: net.Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of open.splice(0)) await server.close()
  faults.length = 0
})

async function admin(access?: Partial<AdminAccessOptions>, host = '127.0.0.1'): Promise<number> {
  const server = await openAdminServer({ host, port: 0 }, SOURCES, { token: null, hosts: [], ...access })
  open.push(server)
  return server.address.port
}

async function health(): Promise<number> {
  const server = await openHealthServer({ host: '127.0.0.1', port: 0 }, SOURCES.health)
  open.push(server)
  return server.address.port
}

function connect(port: number): net.Socket {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  sockets.push(socket)
  return socket
}

/** Sends bytes and reads until the server closes. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => (text += chunk))
  socket.write(bytes, 'latin1')
  await once(socket, 'close')
  return text
}

function ask(port: number, target: string, headers: readonly string[] = [], method = 'GET'): Promise<string> {
  const host = headers.some((line) => /^host:/i.test(line)) ? [] : [`Host: 127.0.0.1:${port}`]
  return exchange(port, [`${method} ${target} HTTP/1.1`, ...host, ...headers, 'Connection: close', '', ''].join('\r\n'))
}

function status(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
}

describe('the token of the admin server', () => {
  test('is needed for everything but /healthz, on loopback too', async () => {
    const port = await admin({ token: TOKEN })
    for (const target of ['/', '/metrics', '/summary', '/diagnose', '/debug/fault', '/nothing']) {
      const answer = await ask(port, target)
      expect(status(answer)).toBe(401)
      expect(answer).toMatch(/\r\nwww-authenticate: Bearer/i)
      expect(answer).not.toContain('up 1')
    }
    expect(status(await ask(port, '/healthz'))).toBe(200)
    expect(status(await ask(port, '/metrics', [`Authorization: Bearer ${TOKEN}`]))).toBe(200)
    expect(status(await ask(port, '/summary', [`authorization: bearer  ${TOKEN}`]))).toBe(200)
  })

  test('is taken whole, as Bearer, and once', async () => {
    const port = await admin({ token: TOKEN })
    for (const value of [
      '',
      'Bearer',
      'Bearer ',
      `Basic ${TOKEN}`,
      TOKEN,
      `Bearer ${TOKEN.slice(1)}`,
      `Bearer ${TOKEN}0`,
      `Bearer ${TOKEN.toUpperCase()}`,
      `Bearer ${TOKEN} ${TOKEN}`,
      `Bearer ${TOKEN.slice(0, -1)}\xe9`,
      'Bearer undefined',
    ]) {
      expect(status(await ask(port, '/metrics', [`Authorization: ${value}`]))).toBe(401)
    }
  })

  test('has no part in a query', async () => {
    const port = await admin({ token: TOKEN })
    expect(status(await ask(port, `/metrics?token=${TOKEN}&access_token=${TOKEN}`))).toBe(401)
  })

  test.each([
    ['short', 'at least 24'],
    ['x'.repeat(23), 'at least 24'],
    ['', 'token68'],
    [`${'x'.repeat(30)} y`, 'token68'],
    [`${'x'.repeat(30)}\ny`, 'token68'],
  ])('%j is refused at start', (token, why) => {
    expect(tokenFault(token)).toContain(why)
    expect(tokenFault(TOKEN)).toBeNull()
  })
})

describe('a browser on the operator’s machine', () => {
  test('is refused under a name that its page’s author controls (DNS rebinding)', async () => {
    const port = await admin()
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
      '*',
      '',
    ]) {
      for (const target of ['/metrics', '/summary', '/healthz', '/debug/fault?shard=0&kind=throw']) {
        expect([host, status(await ask(port, target, [`Host: ${host}`]))]).toEqual([host, 403])
      }
    }
    for (const host of ['localhost', `LocalHost:${port}`, '127.0.0.1', '127.1.2.3:1', '[::1]:9464'])
      expect(status(await ask(port, '/metrics', [`Host: ${host}`]))).toBe(200)
  })

  test('reaches a further name only where --admin-host gives it', async () => {
    const port = await admin({ hosts: ['mirror.internal', 'fd00::1'] })
    for (const host of ['mirror.internal', `Mirror.Internal:${port}`, '[fd00::1]:80'])
      expect(status(await ask(port, '/metrics', [`Host: ${host}`]))).toBe(200)
    for (const host of ['x.mirror.internal', 'internal'])
      expect(status(await ask(port, '/metrics', [`Host: ${host}`]))).toBe(403)
  })

  test('changes nothing from a page, whatever page it is', async () => {
    const port = await admin()
    const fault = '/debug/fault?shard=0&kind=throw'
    for (const header of [
      'Origin: http://evil.example',
      'Origin: null',
      `Origin: http://127.0.0.1:${port}`,
      'Sec-Fetch-Site: cross-site',
      'Sec-Fetch-Site: same-site',
      'Sec-Fetch-Site: same-origin',
    ]) {
      expect([header, status(await ask(port, fault, [header], 'POST'))]).toEqual([header, 403])
    }
    expect(faults).toEqual([])
    expect(status(await ask(port, fault, [], 'POST'))).toBe(200)
    expect(faults).toEqual(['shard 0 throw'])
  })

  test('gets no CORS, no type to guess, and nothing it may run or frame', async () => {
    for (const answer of [
      await ask(await admin(), '/summary', ['Origin: http://evil.example']),
      await ask(await health(), '/healthz'),
    ]) {
      expect(answer).not.toMatch(/access-control-/i)
      expect(answer).toMatch(/\r\nx-content-type-options: nosniff\r\n/i)
      expect(answer).toMatch(/\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'\r\n/i)
      expect(answer).toMatch(/\r\ncross-origin-resource-policy: same-origin\r\n/i)
    }
    const preflight = await ask(
      await admin(),
      '/summary',
      ['Origin: http://evil.example', 'Access-Control-Request-Method: GET'],
      'OPTIONS',
    )
    expect(status(preflight)).toBe(403)
    expect(preflight).not.toMatch(/access-control-/i)
  })
})

describe('clients that hold on to what they get', () => {
  test.each(['//', '//:', 'http://', 'http://[', '*', '/%', '/%00', '/?&&=', '/metrics?%'])(
    'target %s is answered, and ends nothing',
    async (target) => {
      for (const port of [await admin(), await health()]) {
        expect([200, 400, 404]).toContain(status(await ask(port, target)))
        expect(status(await ask(port, '/healthz'))).toBe(200)
      }
    },
  )

  test('a head above 8 KiB is refused with 431', async () => {
    for (const port of [await admin(), await health()])
      expect(status(await ask(port, '/healthz', [`X: ${'x'.repeat(9000)}`]))).toBe(431)
  })

  test('more connections than the bound end the ones that were silent longest; who asks is answered', async () => {
    for (const port of [await admin(), await health()]) {
      const slow: net.Socket[] = []
      for (let i = 0; i < 2 * MAX_SERVER_CONNECTIONS; i++) {
        const socket = connect(port)
        await once(socket, 'connect')
        // Half a request line, a byte at a time.
        socket.write('G')
        slow.push(socket)
      }
      expect(status(await ask(port, '/healthz'))).toBe(200)
      const deadline = performance.now() + 5000
      while (slow.filter((socket) => !socket.closed).length >= MAX_SERVER_CONNECTIONS && performance.now() < deadline)
        await sleep(20)
      // The one that asked took a place as well.
      expect(slow.filter((socket) => !socket.closed).length).toBeLessThan(MAX_SERVER_CONNECTIONS)
      expect(status(await ask(port, '/healthz'))).toBe(200)
    }
  })

  test('a head that drips is ended after seconds, not minutes', async () => {
    const port = await admin()
    const socket = connect(port)
    const startedMs = performance.now()
    const drip = setInterval(() => socket.writable && socket.write('X'), 200)
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nX: ')
    socket.resume()
    await once(socket, 'close')
    clearInterval(drip)
    // 5 s for the head, looked at every second; the rest is a busy machine.
    expect(performance.now() - startedMs).toBeLessThan(15_000)
  }, 20_000)

  test('a connection that says nothing at all is ended too', async () => {
    const socket = connect(await health())
    socket.resume()
    await once(socket, 'close')
  }, 20_000)

  test('requests behind one that is not answered yet get no answer, and end the connection', async () => {
    const request = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'
    for (const port of [await admin(), await health()]) {
      const answers = await exchange(port, request.repeat(1000))
      expect(answers.match(/^HTTP\/1\.1 /gm)).toHaveLength(1)
      expect(answers).toMatch(/receiving\n(\r\n0\r\n\r\n)?$/)
    }
    expect(await exchange(await admin(), request.repeat(1000).replaceAll('/healthz', '/metrics'))).not.toMatch(
      /up 1[\s\S]*up 1/,
    )
  })

  test('requests one after the other are answered on one connection', async () => {
    const socket = connect(await admin())
    socket.setEncoding('latin1')
    for (let i = 0; i < 100; i++) {
      socket.write(`GET /${i % 2 === 0 ? 'metrics' : 'healthz'} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      let answer = ''
      while (!/\r\n0\r\n\r\n$|\r\n\r\n(up 1|receiving)\n$/.test(answer)) answer += (await once(socket, 'data'))[0]
      expect(status(answer)).toBe(200)
    }
  })

  test('a body nobody asked for is not waited for', async () => {
    const port = await admin()
    const head = `GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`
    expect(await exchange(port, head)).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nconnection: close\r\n/i)
  })
})

test('the health server tells one word to anybody, and nothing else', async () => {
  const port = await health()
  expect(await ask(port, '/healthz', ['Host: anything.example'])).toMatch(/\r\n\r\n[\s\S]*receiving\n/)
  for (const target of ['/', '/metrics', '/summary', '/debug/fault']) expect(status(await ask(port, target))).toBe(404)
  expect(status(await ask(port, '/healthz', [], 'POST'))).toBe(405)
})
