/** Text of others (captured, configured, in names of files) stays text: on terminals, in logs, in JSON and as keys of objects. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { printable, printableJson, printableLines } from '../../src/base/printable.ts'
import { parseConfigFile } from '../../src/config/file.ts'
import { RawOrigin } from '../sinks/replay/support/raw-origin.ts'
import { type Talk, writeCapture } from './support/captured-frames.ts'
import { folder, run } from './support/program.ts'

/** Sets the title, clears the screen, turns text red, moves the cursor; as ESC [ and as the one byte CSI. */
const ESCAPES = '\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b1A\x9d0;owned\x9c\b\x7f'

const CONTROLS = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/

describe('a terminal', () => {
  /** As much of it as the parser takes: some controls end a message, which is counted and not printed. */
  const talks: readonly Talk[] = [
    {
      request: `GET /a${ESCAPES} HTTP/1.1\r\nHost: a\r\nX: ${ESCAPES}\r\n\r\n`,
      response: `HTTP/1.1 200 ${ESCAPES}\r\nX: ${ESCAPES}\r\nContent-Length: 0\r\n\r\n`,
    },
    {
      request: `GET /b\x9b31m\xff HTTP/1.1\r\nHost: a\r\nX: \x9b31m\x85\xff\r\n\r\n`,
      response: 'HTTP/1.1 200 OK\r\nX: \x9b2J\r\nContent-Length: 0\r\n\r\n',
    },
    {
      request: `GET /c HTTP/1.1\r\nHost: a\x1b[31m\r\nX: \t\x1b[2J\r\n\r\n`,
      response: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    },
  ]

  test.each(['table', 'ndjson', 'har'])('gets no control of a capture from inspect --format %s', async (format) => {
    const file = writeCapture(join(folder(), 'a.pcap'), talks)
    const { stdout, stderr, code } = await run(['inspect', file, '--format', format])
    expect(code).toBe(0)
    expect(stdout).toContain('/b')
    expect(stdout).not.toMatch(CONTROLS)
    expect(stderr).not.toMatch(CONTROLS)
  })

  test('gets no control of a file’s name, an option or a configuration, and no line that looks like another message', async () => {
    const name = `a\x1b[31m\nall is well\x9b2J\u202e.pcap`
    const config = join(folder(), 'c.yaml')
    writeFileSync(config, `"x\\e[31m\\nall is well": 1\nto: "http://\\e[2J\\x9b1A"\n`)
    for (const words of [
      ['inspect', name],
      ['inspect', writeCapture(join(folder(), name), talks), name],
      ['replay', 'x.pcap', '--to', name],
      ['run', '--to', 'null', '--admin', name],
      ['run', '--to', 'null', '--summary', `/nowhere/${name}`],
      ['run', '--to', 'null', '--admin-token-file', name],
      ['run', '--to', 'https://a', '--tls-ca', name],
      ['run', '--to', 'https://a', '--tls-cert', name, '--tls-key', name],
      ['inspect', 'x.pcap', '--redact', 'a', '--redact-key-file', name],
      ['run', '--to', 'null', `--${name}`],
      [name],
      ['validate', '--config', name],
      ['validate', '--config', config],
      ['capture', '--interface', name, '--out', '/nowhere/x'],
    ]) {
      const { stderr, code } = await run(words)
      expect(code).not.toBe(0)
      expect(stderr).not.toBe('')
      expect([words, stderr]).toEqual([words, expect.not.stringMatching(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)])
      expect([words, stderr]).toEqual([words, expect.not.stringMatching(/^(mirrorshard: )*all is well/m)])
    }
  }, 30_000)

  test('gets no control of a file’s name from validate', async () => {
    const path = join(folder(), 'a\x1b[31m\n\x9b2J\u202e.yaml')
    writeFileSync(path, 'workers: 2\n')
    const { stdout, code } = await run(['validate', '--config', path])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^[^\x00-\x1f\x7f-\x9f\u202e]*: valid, 1 option\n$/)
  })

  test('gets no mark that turns the direction of writing', () => {
    // All of Unicode's property Bidi_Control.
    const marks = '\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
    expect(printable(`a${marks}b`)).toBe(`a${'·'.repeat(marks.length)}b`)
    expect(printableLines(`a${marks}b`)).toBe(`a${'·'.repeat(marks.length)}b`)
  })

  test('gets one line of bounded length from any text, and JSON that says the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 6000 }), (text) => {
        expect(printable(text)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/)
        expect(printable(text).length).toBeLessThanOrEqual(4096)
        expect(printableLines(text)).not.toMatch(CONTROLS)
        expect(printableJson({ text })).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
        expect(JSON.parse(printableJson({ text }))).toEqual({ text })
      }),
    )
    // Random texts are rarely as long as that.
    const long = 'x'.repeat(5000)
    expect(printable(long)).toHaveLength(4096)
    expect(
      printableLines(`${long}\n${long}`)
        .split('\n')
        .map((line) => line.length),
    ).toEqual([4096, 4096])
  })
})

describe('names that objects have of their own', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'valueOf', '__defineGetter__']
  const talks: readonly Talk[] = names.map((name) => ({
    request: `GET /${name}?${name}=${name} HTTP/1.1\r\nHost: a\r\n${name}: ${name}\r\n${name}[x]: y\r\nConnection: ${name}\r\n${name}: again\r\n\r\n`,
    response: `HTTP/1.1 200 OK\r\n${name}: ${name}\r\nContent-Length: 0\r\n\r\n`,
  }))
  // `[` is no token: the message with it is counted and not read; this one is whole.
  const whole: readonly Talk[] = talks.map(({ request, response }) => ({
    request: request.replace(/^.*\[x\].*\r\n/m, '').replace(/^Connection.*\r\n/m, ''),
    response: response!,
  }))
  let origin: RawOrigin | null = null

  afterEach(async () => {
    await origin?.close()
    origin = null
  })

  test('are header names like any other in ndjson and har', async () => {
    const file = writeCapture(join(folder(), 'a.pcap'), [...talks, ...whole])
    const lines = (await run(['inspect', file])).stdout.trim().split('\n')
    const headers = lines.map((line) => (JSON.parse(line) as { headers: [string, string][] }).headers)
    expect(headers).toEqual(
      expect.arrayContaining(
        names.map((name) => [
          ['Host', 'a'],
          [name, name],
          [name, 'again'],
        ]),
      ),
    )
    const har = JSON.parse(
      (await run(['inspect', file, '--format', 'har', '--redact', '__proto__,constructor'])).stdout,
    )
    const seen = har.log.entries.map(
      (entry: { request: { headers: { name: string; value: string }[] } }) => entry.request.headers,
    )
    expect(seen).toContainEqual([
      { name: 'Host', value: 'a' },
      { name: '__proto__', value: '[redacted]' },
      { name: '__proto__', value: '[redacted]' },
    ])
    expect(seen).toContainEqual(expect.arrayContaining([{ name: 'toString', value: 'toString' }]))
  })

  test.each(['wire', 'undici'])('are replayed and sampled like any other by engine %s', async (engine) => {
    origin = await RawOrigin.listen()
    const file = writeCapture(join(folder(), 'a.pcap'), whole)
    for (const by of ['header:__proto__', 'header:constructor', 'header:toString', 'connection']) {
      const before = origin.requests.length
      const words = ['replay', file, '--to', origin.url.origin, '--engine', engine, '--speed', 'max', '--workers', '0']
      const { code, stderr } = await run([...words, '--sample-by', by, '--percent', '100'])
      expect(code).toBe(0)
      expect(stderr).not.toContain('internal error')
      expect(origin.requests.length - before).toBe(names.length)
    }
    for (const name of names) {
      const request = origin.requests.find(({ target }) => target === `/${name}?${name}=${name}`)!
      expect(request.lines.filter((line) => line.startsWith(`${name}:`))).toEqual([
        `${name}: ${name}`,
        `${name}: again`,
      ])
    }
  })

  test('are unknown options in a configuration, and change nothing', () => {
    for (const name of names) {
      const { settings, faults } = parseConfigFile('c.yaml', `${name}: {polluted: true}\n`)
      expect([...settings]).toEqual([])
      expect(faults).toHaveLength(1)
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})
