import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { ENGINE_NAMES } from '../../../src/sinks/replay/engine.ts'
import type { ReplaySinkOptions } from '../../../src/sinks/replay/options.ts'
import { authority, issue } from '../../support/certificates.ts'
import { captured, connection } from './support/captured.ts'
import { SinkRig } from './support/sink-rig.ts'

const CA = authority('test authority')
const OTHER_CA = authority('another authority')
const FOR_LOCALHOST = issue(CA, { name: 'origin', dns: ['localhost'] })
const CLIENT = issue(CA, { name: 'mirrorshard client' })

/** Answers the first request on a connection, and closes it upon the second. */
const WITHOUT_TICKETS = `
import socket, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('origin.pem')
context.load_verify_locations('ca.pem')
context.verify_mode = ssl.CERT_REQUIRED
context.num_tickets = 0
server = socket.create_server(('127.0.0.1', 0))
print(server.getsockname()[1], flush=True)
while True:
    connection = context.wrap_socket(server.accept()[0], server_side=True)
    connection.recv(9999)
    connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')
    connection.recv(9999)
    connection.close()
`

const nothing = (socket: tls.TLSSocket): unknown => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')

describe.each(ENGINE_NAMES)('an https origin, engine %s', (engine) => {
  const closing: net.Server[] = []
  /** Per TLS connection that was made. */
  let seen: { serverName: string | false | null; client: string | null; protocol: string | null }[] = []

  afterEach(() => {
    for (const server of closing.splice(0)) server.close()
    seen = []
  })

  /** Answers every request with 200 and nothing, if not otherwise told. */
  async function listen(options: tls.TlsOptions, answer = nothing): Promise<number> {
    const server = tls.createServer(options, (socket) => {
      const peer = socket.getPeerCertificate()
      seen.push({
        serverName: socket.servername,
        client: (peer as tls.PeerCertificate | null)?.subject?.CN?.toString() ?? null,
        protocol: socket.getProtocol(),
      })
      socket.on('error', () => {})
      socket.on('data', () => answer(socket))
    })
    server.on('tlsClientError', () => {})
    closing.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  async function outcomes(
    origin: string,
    options: Partial<ReplaySinkOptions>,
    requests = 1,
  ): Promise<Record<string, number>> {
    const rig = new SinkRig(new URL(origin), { engine, connections: 1, circuitFailures: 100, ...options })
    for (let i = 0; i < requests; i++) {
      rig.give(captured('GET / HTTP/1.1\nHost: a'), connection())
      // One after the other, so that each may meet what the one before left.
      await rig.sink.drain(10_000)
    }
    await rig.drain()
    return rig.outcomes
  }

  test('is trusted with the authority of --tls-ca, and sees the host of --to as server name', async () => {
    const port = await listen(FOR_LOCALHOST)
    expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert })).toEqual({ '2xx': 1 })
    expect(seen).toEqual([{ serverName: 'localhost', client: null, protocol: 'TLSv1.3' }])
  })

  test('of another authority ends in outcome tls, verified by default', async () => {
    const port = await listen(FOR_LOCALHOST)
    expect(await outcomes(`https://localhost:${port}`, { tlsCa: OTHER_CA.cert })).toEqual({ tls: 1 })
    expect(await outcomes(`https://localhost:${port}`, {})).toEqual({ tls: 1 })
  })

  test('is verified although the environment says NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    const port = await listen(FOR_LOCALHOST)
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      expect(await outcomes(`https://localhost:${port}`, { tlsCa: OTHER_CA.cert })).toEqual({ tls: 1 })
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    }
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'with a certificate for another name ends in outcome tls, however often it is tried (%s)',
    async (version) => {
      // Sessions of refused connections must not be resumed: a resumed session is not checked for its name.
      const port = await listen({ ...issue(CA, { name: 'x', dns: ['elsewhere'] }), maxVersion: version })
      expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert }, 4)).toEqual({ tls: 4 })
    },
  )

  test('whose certificate has expired ends in outcome tls', async () => {
    const expired = issue(CA, {
      name: 'origin',
      dns: ['localhost'],
      from: new Date(Date.now() - 2 * 86_400_000),
      until: new Date(Date.now() - 86_400_000),
    })
    const port = await listen(expired)
    expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert })).toEqual({ tls: 1 })
  })

  test('reached by address is asked for the name of --tls-server-name, and must have a certificate for it', async () => {
    const port = await listen(issue(CA, { name: 'x', dns: ['staging.test'] }))
    const origin = `https://127.0.0.1:${port}`
    expect(await outcomes(origin, { tlsCa: CA.cert })).toEqual({ tls: 1 })
    expect(await outcomes(origin, { tlsCa: CA.cert, tlsServerName: 'staging.test' })).toEqual({ '2xx': 1 })
    expect(await outcomes(origin, { tlsCa: CA.cert, tlsServerName: 'other.test' })).toEqual({ tls: 1 })
    expect(seen.map(({ serverName }) => serverName)).toContain('staging.test')
  })

  test('reached by an address that its certificate names needs no server name, and gets none', async () => {
    const port = await listen(issue(CA, { name: 'x', ip: ['127.0.0.1'] }))
    expect(await outcomes(`https://127.0.0.1:${port}`, { tlsCa: CA.cert })).toEqual({ '2xx': 1 })
    expect(seen).toMatchObject([{ serverName: false }])
  })

  test('that asks for a client certificate gets the one of --tls-cert', async () => {
    const port = await listen({ ...FOR_LOCALHOST, ca: CA.cert, requestCert: true, rejectUnauthorized: true })
    const origin = `https://localhost:${port}`
    const client = { tlsCert: CLIENT.cert, tlsKey: CLIENT.key }
    expect(await outcomes(origin, { tlsCa: CA.cert, ...client })).toEqual({ '2xx': 1 })
    expect(seen).toMatchObject([{ client: 'mirrorshard client' }])
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'that asks for a client certificate and gets none counts as tls (%s)',
    async (maxVersion) => {
      const port = await listen({
        ...FOR_LOCALHOST,
        ca: CA.cert,
        requestCert: true,
        rejectUnauthorized: true,
        maxVersion,
      })
      expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert })).toEqual({ tls: 1 })
      expect(seen).toEqual([])
    },
  )

  // TLS 1.3: the client's part of the handshake is over before the origin looks at the certificate, and a reset overtakes its alert.
  describe.each(['end', 'resetAndDestroy'] as const)(
    'whose alert is lost in the close of the connection (%s)',
    (close) => {
      /** Lets through the origin's first flight and nothing of what it says to the client's. */
      async function withoutAlert(port: number): Promise<number> {
        const server = net.createServer((client) => {
          const origin = net.connect(port, '127.0.0.1')
          let flights = 0
          client.on('data', (bytes) => {
            flights++
            origin.write(bytes)
          })
          origin.on('data', (bytes) => {
            if (flights === 1) client.write(bytes)
            else client[close]()
          })
          for (const socket of [client, origin]) socket.on('error', () => {})
          client.on('close', () => origin.destroy())
          origin.on('close', () => client[close]())
        })
        closing.push(server)
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        return (server.address() as AddressInfo).port
      }
      const options = { ...FOR_LOCALHOST, ca: CA.cert, requestCert: true, rejectUnauthorized: true }

      test('counts as tls where it asked for a client certificate and got none', async () => {
        const port = await withoutAlert(await listen(options))
        expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert })).toEqual({ tls: 1 })
      })

      test('counts as tls where it asked for a client certificate and got another authority’s', async () => {
        const port = await withoutAlert(await listen(options))
        const stranger = issue(OTHER_CA, { name: 'stranger' })
        const client = { tlsCert: stranger.cert, tlsKey: stranger.key }
        expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert, ...client })).toEqual({ tls: 1 })
      })

      test('counts as reset where it asked for nothing', async () => {
        const port = await withoutAlert(await listen(FOR_LOCALHOST))
        expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert })).toEqual({ reset: 1 })
      })
    },
  )

  test('that took the client as it is and then closes without an answer counts as reset', async () => {
    const options = { ...FOR_LOCALHOST, ca: CA.cert, requestCert: true, rejectUnauthorized: false }
    // Not at once: node:tls would take its session tickets along, which it writes after the data, in the same turn.
    const port = await listen(options, (socket) => setImmediate(() => socket.destroy()))
    expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert })).toEqual({ reset: 1 })
    expect(seen).toHaveLength(1)
  })

  // node:tls always gives tickets.
  test.skipIf(spawnSync('python3', ['-c', 'import ssl']).status !== 0)(
    'that asks for a client certificate, gives no session tickets and closes after an answer has grown stale: sent again (needs python3)',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-tls-'))
      writeFileSync(join(folder, 'origin.pem'), FOR_LOCALHOST.cert + FOR_LOCALHOST.key)
      writeFileSync(join(folder, 'ca.pem'), CA.cert)
      const origin = spawn('python3', ['-c', WITHOUT_TICKETS], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
      try {
        const [port] = await once(origin.stdout, 'data')
        const rig = new SinkRig(new URL(`https://localhost:${Number(port)}`), {
          engine,
          connections: 1,
          tlsCa: CA.cert,
          tlsCert: CLIENT.cert,
          tlsKey: CLIENT.key,
        })
        for (let i = 0; i < 2; i++) {
          rig.give(captured('GET / HTTP/1.1\nHost: a'), connection())
          await rig.drain()
        }
        expect(rig.outcomes).toEqual({ '2xx': 2 })
        expect(rig.count('replayRetries')).toBe(1)
        await rig.sink.close()
      } finally {
        origin.kill()
        rmSync(folder, { recursive: true })
      }
    },
  )

  test('that speaks nothing newer than TLS 1.1 ends in outcome tls', async () => {
    const port = await listen({
      ...FOR_LOCALHOST,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      // What OpenSSL 3 needs to offer it at all.
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    expect(await outcomes(`https://localhost:${port}`, { tlsCa: CA.cert })).toEqual({ tls: 1 })
  })

  test('is taken as it is with --tls-insecure alone', async () => {
    const port = await listen(issue(OTHER_CA, { name: 'x', dns: ['elsewhere'] }))
    expect(await outcomes(`https://localhost:${port}`, { tlsInsecure: true })).toEqual({ '2xx': 1 })
  })
})
