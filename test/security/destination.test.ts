/** Where requests go: to the origin of the configuration, whatever the captured bytes, the environment or the origin itself say. */
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { ENGINE_NAMES } from '../../src/sinks/replay/engine.ts'
import { ok, RawOrigin, says } from '../sinks/replay/support/raw-origin.ts'
import { writeCapture } from './support/captured-frames.ts'
import { folder, run } from './support/program.ts'

const origins: RawOrigin[] = []

async function listen(answer = ok): Promise<RawOrigin> {
  const origin = await RawOrigin.listen(answer)
  origins.push(origin)
  return origin
}

afterEach(async () => {
  for (const origin of origins.splice(0)) await origin.close()
})

async function replay(
  engine: string,
  origin: RawOrigin,
  requests: readonly string[],
  env: Readonly<Record<string, string>> = {},
  more: readonly string[] = [],
): Promise<void> {
  const file = writeCapture(
    join(folder(), 'requests.pcap'),
    requests.map((request) => ({ request })),
  )
  const words = [
    'replay',
    file,
    '--to',
    origin.url.origin,
    '--engine',
    engine,
    '--speed',
    'max',
    '--workers',
    '0',
    ...more,
  ]
  expect((await run(words, env)).code).toBe(0)
}

describe.each(ENGINE_NAMES)('the destination, engine %s', (engine) => {
  test('is the configured origin, whatever target and Host name', async () => {
    const [origin, elsewhere] = [await listen(), await listen()]
    const host = `127.0.0.1:${elsewhere.port}`
    await replay(engine, origin, [
      `GET http://${host}/absolute HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `GET http://user:secret@${host}/user HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `GET /host HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `GET //${host}/double HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `GET /forwarded HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: ${host}\r\nForwarded: host=${host}\r\nX-Original-URL: http://${host}/\r\n\r\n`,
    ])
    expect(origin.requests.map(({ target }) => target).sort()).toEqual(
      ['/absolute', '/user', '/host', `//${host}/double`, '/forwarded'].sort(),
    )
    expect(elsewhere.connections).toBe(0)
    for (const { lines } of origin.requests)
      expect(lines.filter((line) => /^host:/i.test(line))).toEqual([
        expect.stringMatching(`^[Hh]ost: 127.0.0.1:${origin.port}$`),
      ])
  })

  test('stays the same host with --keep-host, which sends the captured Host there', async () => {
    const [origin, elsewhere] = [await listen(), await listen()]
    const host = `127.0.0.1:${elsewhere.port}`
    await replay(engine, origin, [`GET /kept HTTP/1.1\r\nHost: ${host}\r\n\r\n`], {}, ['--keep-host'])
    expect(origin.requests.map(({ target }) => target)).toEqual(['/kept'])
    expect(elsewhere.connections).toBe(0)
  })

  test('does not follow redirects, nor Location, Refresh, Alt-Svc or 305 (Use Proxy)', async () => {
    const elsewhere = await listen()
    const url = elsewhere.url.href
    const origin = await listen()
    for (const status of [301, 302, 303, 305, 307, 308]) {
      origin.answer = says(
        `HTTP/1.1 ${status} Elsewhere\r\nLocation: ${url}\r\nRefresh: 0;url=${url}\r\nAlt-Svc: h2="127.0.0.1:${elsewhere.port}"\r\nContent-Length: 0\r\n\r\n`,
      )
      await replay(engine, origin, [`GET /${status} HTTP/1.1\r\nHost: a\r\n\r\n`])
    }
    expect(origin.requests).toHaveLength(6)
    expect(elsewhere.connections).toBe(0)
  })

  test('does not go through a proxy of the environment', async () => {
    const [origin, proxy] = [await listen(), await listen()]
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']
    const env = Object.fromEntries(names.map((name) => [name, proxy.url.href]))
    await replay(engine, origin, ['GET /direct HTTP/1.1\r\nHost: a\r\n\r\n'], { ...env, NODE_USE_ENV_PROXY: '1' })
    expect(origin.requests.map(({ target }) => target)).toEqual(['/direct'])
    expect(proxy.connections).toBe(0)
  })
})
