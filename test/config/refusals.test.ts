/** `validate` refuses what `run` refuses, in the same words: each refusal of a start that can be known without starting. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { folder, run } from '../security/support/program.ts'
import { authority, issue } from '../support/certificates.ts'

const ca = authority('ca')
const [own, other] = [issue(ca, { name: 'own' }), issue(ca, { name: 'other' })]

interface Setup {
  readonly dir: string
  /** A file in it, with its path. */
  file(name: string, content: string, mode?: number): string
}

const QUIET = 'listen: 127.0.0.1:0\nadmin: off\nworkers: 0\n'
const HTTPS = `${QUIET}to: https://127.0.0.1:1\n`

/** What is wrong, and the file that says so. */
const REFUSALS: readonly (readonly [string, (setup: Setup) => string])[] = [
  ['an unknown option', () => `${HTTPS}worker: 2\n`],
  ['a value of the wrong kind', () => `${HTTPS}percent: many\n`],
  ['not YAML', () => 'to: [\n'],
  ['several receivers with dgram', () => `${HTTPS}workers: 1\nreceivers: 2\nreceiver: dgram\n`.replace('workers: 0\n', '')],
  ['several receivers and no shards', () => `${HTTPS}receivers: 2\n`],
  ['several receivers on an interface', () => `to: null\ninterface: lo\nreceivers: 2\nadmin: off\n`],
  ['a listen address and an interface', () => `${HTTPS}interface: lo\n`],
  ['shared ports on an interface', () => 'to: null\ninterface: lo\nreuse-port: true\nadmin: off\n'],
  ['shared ports with dgram', () => `${HTTPS}reuse-port: true\nreceiver: dgram\n`],
  ['a listen address twice', () => 'to: null\nadmin: off\nlisten: 127.0.0.1:4789,127.0.0.1:4789\n'],
  ['health and admin on one port', () => 'to: null\nlisten: 127.0.0.1:0\nhealth: 0.0.0.0:9464\n'],
  ['health on a listen port', () => 'to: null\nadmin: off\nlisten: 127.0.0.1:4789\nhealth: 127.0.0.1:4789\n'],
  ['an open admin address without a token', () => 'to: null\nlisten: 127.0.0.1:0\nadmin: 0.0.0.0:0\n'],
  ['less memory than a start needs', () => `${HTTPS}memory-limit: 64MB\n`],
  ['parts larger than the memory', () => `${HTTPS}memory-limit: 1GB\nqueue-bytes: 2GB\n`],
  ['more for one direction than for all', () => `${HTTPS}out-of-order-bytes: 128MB\n`],
  ['a certificate without its key', ({ file }) => `${HTTPS}tls-cert: ${file('c.pem', own.cert)}\n`],
  ['a missing CA file', ({ dir }) => `${HTTPS}tls-ca: ${join(dir, 'ca.pem')}\n`],
  ['a CA that is a directory', ({ dir }) => `${HTTPS}tls-ca: ${dir}\n`],
  ['a CA that is no certificate', ({ file }) => `${HTTPS}tls-ca: ${file('ca.pem', 'hello')}\n`],
  ['a key of another certificate', ({ file }) => `${HTTPS}tls-cert: ${file('c.pem', own.cert)}\ntls-key: ${file('k.pem', other.key)}\n`],
  ['a key that everybody reads', ({ file }) => `${HTTPS}tls-cert: ${file('c.pem', own.cert)}\ntls-key: ${file('k.pem', own.key, 0o644)}\n`],
  ['a missing token file', ({ dir }) => `${HTTPS}admin-token-file: ${join(dir, 'token')}\n`],
  ['a token that everybody reads', ({ file }) => `${HTTPS}admin-token-file: ${file('token', 'x'.repeat(30), 0o644)}\n`],
  ['a token that is too short', ({ file }) => `${HTTPS}admin-token-file: ${file('token', 'short')}\n`],
  ['a summary in a folder that is not there', ({ dir }) => `${HTTPS}summary: ${join(dir, 'no', 's.json')}\n`],
  ['a summary that is a folder', ({ dir }) => { mkdirSync(join(dir, 's.json')); return `${HTTPS}summary: ${join(dir, 's.json')}\n` }],
  ['an interface that is not there', () => 'to: null\ninterface: nosuch0\nadmin: off\nworkers: 0\n'],
] // biome-ignore format: a list

function setupOf(): Setup {
  const dir = folder()
  return {
    dir,
    file(name, content, mode = 0o600) {
      const path = join(dir, name)
      writeFileSync(path, content)
      chmodSync(path, mode)
      return path
    },
  }
}

/** What refused, without warnings and log lines. */
function refusalIn(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line.startsWith('mirrorshard: ') && !line.includes(': warning: '))
}

describe('refused by run, and by validate in the same words', () => {
  test.each(REFUSALS)('%s', async (_what, yaml) => {
    const setup = setupOf()
    const path = setup.file('m.yaml', yaml(setup))
    const [validated, started] = await Promise.all([
      run(['validate', '--config', path]),
      run(['run', '--config', path]),
    ])
    expect(refusalIn(started.stderr).length).toBeGreaterThan(0)
    expect(refusalIn(validated.stderr)).toEqual(refusalIn(started.stderr))
    expect([validated.code, validated.stdout]).toEqual([started.code, ''])
  })

  test('an environment variable beside the file', async () => {
    const { file } = setupOf()
    const path = file('m.yaml', QUIET)
    const env = { MIRRORSHARD_TO: 'ftp://staging' }
    const [validated, started] = await Promise.all([
      run(['validate', '--config', path], env),
      run(['run', '--config', path], env),
    ])
    expect(refusalIn(validated.stderr)).toEqual(refusalIn(started.stderr))
    expect([validated.code, started.code]).toEqual([78, 78])
  })
})

test('a key of redaction is checked too: inspect reads the file as well', async () => {
  const { file, dir } = setupOf()
  const path = file('m.yaml', `${HTTPS}redact: cookie\nredact-key-file: ${join(dir, 'key')}\n`)
  expect(await run(['validate', '--config', path])).toMatchObject({
    code: 78,
    stderr: expect.stringContaining('--redact-key-file'),
  })
})

test('a file that is right is left alone, and so is the place of the summary', async () => {
  const { file, dir } = setupOf()
  const summary = join(dir, 's.json')
  const path = file('m.yaml', `${QUIET}summary: ${summary}\n`)
  expect(await run(['validate', '--config', path])).toMatchObject({
    code: 0,
    stdout: `${path}: valid, 4 options\n`,
    stderr: 'mirrorshard: run and replay need --to URL beside it\n',
  })
  const { existsSync } = await import('node:fs')
  expect(existsSync(summary)).toBe(false)
})
