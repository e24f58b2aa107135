import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freePort } from '../../bench/support/free-port.ts'
import { framesOf } from '../security/support/captured-frames.ts'
import { folder, run } from '../security/support/program.ts'
import { pcapFile } from '../sources/files/capture-builder.ts'

function capture(): string {
  const talk = { request: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', response: 'HTTP/1.1 204 No Content\r\n\r\n' }
  const path = join(folder(), 'traffic.pcap')
  writeFileSync(path, pcapFile(framesOf([talk, talk]).map((data, i) => ({ data, seconds: 1000, fraction: i }))))
  return path
}

function entries(stderr: string): Record<string, unknown>[] {
  return stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe.each(['0', '1'])('replay --workers %s into an origin that refuses', (workers) => {
  test('says so in words, with the reason, and ends with the summary', async () => {
    const port = await freePort()
    const to = `http://127.0.0.1:${port}`
    const { code, stderr } = await run(['replay', capture(), '--to', to, '--workers', workers])
    expect(code).toBe(1)
    expect(stderr.split('\n').slice(0, 2)).toEqual([
      `mirrorshard: warning: origin 127.0.0.1:${port} is down: connection refused: nothing listens there (ECONNREFUSED); 2 requests failed, circuit still closed`,
      'Lost: 2 requests without an answer from the origin (refused 2).',
    ])
  })

  test('--log-format json: every line is an object, the last one is the summary', async () => {
    const to = `http://127.0.0.1:${await freePort()}`
    const { code, stderr } = await run(['replay', capture(), '--to', to, '--workers', workers, '--log-format', 'json'])
    expect(code).toBe(1)
    expect(entries(stderr)).toMatchObject([
      { level: 40, event: 'origin-down', outcome: 'refused', code: 'ECONNREFUSED', failed: 2 },
      { level: 30, event: 'summary', msg: 'summary', requests: { parsed: 2, replayed: { refused: 2 } } },
    ])
  })
})

test('inspect --log-format json leaves standard output to the data', async () => {
  const { code, stdout, stderr } = await run(['inspect', capture(), '--log-format', 'json', '--format', 'table'])
  expect(code).toBe(0)
  expect(stdout).not.toMatch(/^\{/m)
  expect(entries(stderr).map(({ event }) => event)).toEqual(['summary'])
})
