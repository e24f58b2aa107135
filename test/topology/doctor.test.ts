/** `mirrorshard doctor`, as a user starts it. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Check } from '../../src/topology/doctor/check.ts'
import type { Running } from '../../src/topology/doctor/running.ts'
import { folder, run, service } from '../security/support/program.ts'
import { authority, issue } from '../support/certificates.ts'

const ON_LOOPBACK = ['--listen', 'vxlan:127.0.0.1:0', '--admin', 'off', '--workers', '1', '--memory-limit', '400MiB']

interface Said {
  readonly code: number | null
  readonly checks: readonly Check[]
  readonly running: Running | null
}

async function doctor(...args: readonly string[]): Promise<Said> {
  const { code, stdout, stderr } = await run(['doctor', ...ON_LOOPBACK, '--json', ...args])
  if (stdout === '') throw new Error(stderr)
  return { code, ...(JSON.parse(stdout) as Omit<Said, 'code'>) }
}

function of(said: Said, name: string): Check {
  const found = said.checks.find((check) => check.name === name || check.name.startsWith(`${name} `))
  if (found === undefined) throw new Error(`no check ${name}: ${said.checks.map((check) => check.name).join(', ')}`)
  return found
}

async function listening(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

describe('doctor', () => {
  test('finds nothing wrong where nothing is, and sends the target no byte', async () => {
    let connections = 0
    let bytes = 0
    const origin = net.createServer((socket) => {
      connections++
      socket.on('data', (data) => (bytes += data.length)).on('error', () => {})
    })
    const port = await listening(origin)
    const said = await doctor('--to', `http://127.0.0.1:${port}`)
    expect([said.code, said.running]).toEqual([0, null])
    expect(said.checks.filter(({ state }) => state === 'wrong')).toEqual([])
    const names = [
      'node',
      'koffi',
      'receiving',
      'receive buffer',
      'vxlan',
      'descriptors',
      'memory',
      'threads',
      'target',
    ]
    for (const name of names) expect(of(said, name).state).toMatch(/ok|warning/)
    expect([connections, bytes]).toEqual([1, 0])
  })

  test('prints a table for people, with what to do, and ends with 1 where something is wrong', async () => {
    const server = net.createServer()
    const port = await listening(server)
    server.close()
    const { code, stdout } = await run(['doctor', ...ON_LOOPBACK, '--to', `http://127.0.0.1:${port}`])
    expect(code).toBe(1)
    expect(stdout).toMatch(new RegExp(`^wrong {4}target http://127.0.0.1:${port} +connection refused`, 'm'))
    expect(stdout).toMatch(/^ +do: start the origin/m)
    expect(stdout).toMatch(/^1 wrong, \d+ warnings?\.$/m)
  })

  test('needs no target', async () => {
    expect(of(await doctor(), 'target').found).toContain('none')
  })

  test.each([
    [['--workers', 'many'], 2],
    [['--speed', '2'], 2],
    [['--to', 'ftp://a'], 2],
  ])('ends with 2 for a wrong command line: %j', async (args, code) => {
    expect(await run(['doctor', ...args])).toMatchObject({ code, stdout: '' })
  })

  test('ends with 78 for a file that run would refuse, too', async () => {
    const path = join(folder(), 'token')
    writeFileSync(path, 'short')
    chmodSync(path, 0o600)
    expect(await run(['doctor', ...ON_LOOPBACK, '--admin-token-file', path])).toMatchObject({ code: 78, stdout: '' })
  })
})

describe('doctor says who has', () => {
  test('a UDP port of --listen', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    onTestFinished(() => void socket.close())
    await once(socket, 'listening')
    const { port } = socket.address()
    const check = of(await doctor('--listen', `vxlan:127.0.0.1:${port}`), `vxlan 127.0.0.1:${port}`)
    expect(check).toMatchObject({ state: 'wrong', found: expect.stringContaining(`(pid ${process.pid})`) })
  })

  test('its TCP port', async () => {
    const port = await listening(net.createServer())
    const check = of(await doctor('--listen', `vxlan:127.0.0.1:${port}`), `vxlan 127.0.0.1:${port}`)
    expect(check).toMatchObject({ state: 'wrong', found: expect.stringContaining(`(pid ${process.pid})`) })
  })

  test('the addresses of --admin and --health', async () => {
    const port = await listening(net.createServer())
    const said = await doctor('--health', `127.0.0.1:${port}`)
    expect(of(said, '--health')).toMatchObject({
      state: 'wrong',
      found: expect.stringContaining(`(pid ${process.pid})`),
    })
  })

  test('an address that is not of this host', async () => {
    const check = of(await doctor('--listen', 'vxlan:192.0.2.7:4789'), 'vxlan 192.0.2.7:4789')
    expect(check).toMatchObject({ state: 'wrong', do: expect.stringContaining('127.0.0.1') })
  })
})

describe('doctor tries the target as replay would', () => {
  const ca = authority('doctor test')

  async function tlsOrigin(wanted: Parameters<typeof issue>[1], options: tls.TlsOptions = {}): Promise<number> {
    const server = tls.createServer({ ...issue(ca, wanted), ...options }, (socket) => socket.on('error', () => {}))
    server.on('tlsClientError', () => {})
    return await listening(server)
  }

  const trusting = () => {
    const path = join(folder(), 'ca.pem')
    writeFileSync(path, ca.cert)
    return path
  }

  test('and shakes hands', async () => {
    const port = await tlsOrigin({ name: 'origin', ip: ['127.0.0.1'], until: new Date(Date.now() + 90 * 86_400_000) })
    const said = await doctor('--to', `https://127.0.0.1:${port}`, '--tls-ca', trusting())
    expect(of(said, 'target').found).toContain('TLSv1.3')
    expect(of(said, 'certificate').state).toBe('ok')
  })

  test('a certificate of an unknown authority, or for another name, is wrong', async () => {
    const port = await tlsOrigin({ name: 'origin', dns: ['other.internal'] })
    const unknown = await doctor('--to', `https://127.0.0.1:${port}`)
    expect(of(unknown, 'target')).toMatchObject({ state: 'wrong', do: expect.stringContaining('--tls-ca') })
    const named = await doctor('--to', `https://127.0.0.1:${port}`, '--tls-ca', trusting())
    expect(of(named, 'target')).toMatchObject({ state: 'wrong', do: expect.stringContaining('--tls-server-name') })
    const right = ['--tls-ca', trusting(), '--tls-server-name', 'other.internal']
    expect(of(await doctor('--to', `https://127.0.0.1:${port}`, ...right), 'target').state).toBe('ok')
  })

  test('a certificate that ends soon is a warning', async () => {
    const port = await tlsOrigin({ name: 'origin', ip: ['127.0.0.1'] })
    const said = await doctor('--to', `https://127.0.0.1:${port}`, '--tls-ca', trusting())
    expect(of(said, 'certificate').state).toBe('warning')
  })

  test('an origin that wants a client certificate is wrong without one', async () => {
    const asking = { requestCert: true, rejectUnauthorized: true, ca: ca.cert }
    const port = await tlsOrigin({ name: 'origin', ip: ['127.0.0.1'] }, asking)
    const said = await doctor('--to', `https://127.0.0.1:${port}`, '--tls-ca', trusting())
    expect(of(said, 'target').state).toBe('wrong')
  })

  test('a name that does not resolve is wrong', async () => {
    const said = await doctor('--to', 'http://no-such-host.invalid')
    expect(of(said, 'target')).toMatchObject({ state: 'wrong', found: expect.stringContaining('does not resolve') })
  })

  test('a target that is mirrorshard itself is wrong', async () => {
    const server = net.createServer()
    const port = await listening(server)
    server.close()
    const said = await doctor('--health', `127.0.0.1:${port}`, '--to', `http://127.0.0.1:${port}`)
    expect(of(said, 'target itself')).toMatchObject({ state: 'wrong', found: expect.stringContaining('--health') })
  })
})

describe('doctor looks at the summary file', () => {
  test('without making it', async () => {
    const path = join(folder(), 'summary.json')
    expect(of(await doctor('--summary', path), 'summary').state).toBe('ok')
    expect(existsSync(path)).toBe(false)
  })

  test('where it can be no file', async () => {
    const path = join(folder(), 'here')
    mkdirSync(path)
    expect(of(await doctor('--summary', path), 'summary').state).toBe('wrong')
    expect(of(await doctor('--summary', join(path, 'none', 'summary.json')), 'summary').state).toBe('wrong')
  })
})

describe('a service that runs', () => {
  test('is asked what is wrong with it, and its ports are its own', async () => {
    const running = await service(['--to', 'null'])
    const admin = running.admin.replace('http://', '')
    const said = await doctor('--admin', admin, '--listen', `vxlan:127.0.0.1:${running.port}`)
    expect(of(said, `vxlan 127.0.0.1:${running.port}`).state).toBe('ok')
    expect(of(said, '--admin').state).toBe('ok')
    expect(said.running).toMatchObject({ status: 'wrong', findings: [{ code: 'loopbackOnly' }] })
    expect(said.code).toBe(1)
    const { stdout } = await run([
      'doctor',
      ...ON_LOOPBACK,
      '--admin',
      admin,
      '--listen',
      `vxlan:127.0.0.1:${running.port}`,
    ])
    expect(stdout).toMatch(/^wrong {4}loopbackOnly: /m)
    await running.stop()
  })

  test('that wants a token is asked with it', async () => {
    const path = join(folder(), 'token')
    writeFileSync(path, 'a3f1c2d4e5b60718293a4b5c6d7e8f90\n')
    chmodSync(path, 0o600)
    const running = await service(['--to', 'null', '--admin-token-file', path])
    const admin = running.admin.replace('http://', '')
    const without = await doctor('--admin', admin)
    expect(of(without, 'running service')).toMatchObject({ state: 'warning', found: expect.stringContaining('token') })
    expect((await doctor('--admin', admin, '--admin-token-file', path)).running).toMatchObject({ status: 'wrong' })
    await running.stop()
  })

  test('serves what is wrong with it at /diagnose, with the counts', async () => {
    const running = await service(['--to', 'null'])
    const diagnosis = (await (await fetch(`${running.admin}/diagnose`)).json()) as Record<string, unknown>
    expect(diagnosis).toMatchObject({
      status: 'wrong',
      findings: [{ code: 'loopbackOnly', severity: 'wrong', sentence: expect.any(String), do: expect.any(String) }],
      total: { packets: { received: 0 } },
    })
    await running.stop()
  })

  test('of another program at the admin address is not asked for more than it is', async () => {
    const port = await listening(http.createServer((_, response) => response.end('hello')))
    const said = await doctor('--admin', `127.0.0.1:${port}`)
    expect(said.running).toBeNull()
    expect(of(said, '--admin').state).toBe('wrong')
  })
})
