/** Options that keep others out are checked at start, and say which file and what is wrong with it. */

import { createPrivateKey } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { authority, issue } from '../support/certificates.ts'
import { folder, run, service } from './support/program.ts'

const TOKEN = 'Zm9yIHRlc3RzIG9ubHksIG5vdCBhIHNlY3JldA=='

function file(name: string, content: string, mode = 0o600): string {
  const path = join(folder(), name)
  writeFileSync(path, content)
  chmodSync(path, mode)
  return path
}

describe('the admin address', () => {
  test.each([
    ['0.0.0.0:0', 'flag', 2],
    ['[::]:0', 'flag', 2],
    ['10.0.0.1:9464', 'environment', 78],
  ])('%s without a token is refused (%s)', async (address, from, code) => {
    const words = ['run', '--to', 'null', '--listen', '127.0.0.1:0']
    const result =
      from === 'flag' ? await run([...words, '--admin', address]) : await run(words, { MIRRORSHARD_ADMIN: address })
    expect(result).toMatchObject({ code, stderr: expect.stringContaining('--admin-token-file') })
  })

  test('of the demo is on loopback', async () => {
    expect(await run(['demo', '--admin', '0.0.0.0:0'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('loopback'),
    })
  })

  test('elsewhere with a token asks for it, of everybody', async () => {
    const path = file('token', `${TOKEN}\n`)
    const running = await service(['--to', 'null', '--admin', '0.0.0.0:0', '--admin-token-file', path])
    const url = running.admin.replace('0.0.0.0', '127.0.0.1')
    expect((await fetch(`${url}/metrics`)).status).toBe(401)
    const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })
    expect(await answer.text()).toContain('mirrorshard_')
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    const { stderr } = await running.stop()
    expect(stderr).not.toContain(TOKEN)
  })
})

describe('--admin-token-file', () => {
  const start = (path: string) =>
    run(['run', '--to', 'null', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--admin-token-file', path])

  test.each([
    ['that everybody can read', () => file('token', TOKEN, 0o644), 'mode 0644'],
    ['that everybody can write', () => file('token', TOKEN, 0o602), 'mode 0602'],
    ['that is not there', () => join(folder(), 'token'), 'no such file'],
    [
      'that is a directory',
      () => {
        const path = join(folder(), 'd')
        mkdirSync(path, { mode: 0o700 })
        return path
      },
      'directory',
    ],
    ['that is empty', () => file('token', '\n'), 'empty'],
    ['with few characters', () => file('token', 'x'.repeat(23)), 'at least 24'],
    ['with two lines', () => file('token', `${TOKEN}\n${TOKEN}\n`), 'one line'],
    ['that never ends', () => '/dev/zero', '/dev/zero'],
    ['that is far too long', () => file('token', 'x'.repeat(5000)), 'longer than 4096'],
  ])('%s is refused', async (_what, path, why) => {
    const result = await start(path())
    expect(result).toMatchObject({ code: 78, stderr: expect.stringContaining(why) })
    expect(result.stderr).toContain('--admin-token-file')
    expect(result.stderr).not.toContain(TOKEN)
  })

  test.each([0o400, 0o440, 0o640])(
    'of mode %o is taken: as systemd and Kubernetes mount it for a group',
    async (mode) => {
      const running = await service(['--to', 'null', '--admin-token-file', file('token', TOKEN, mode)])
      expect((await fetch(`${running.admin}/summary`)).status).toBe(401)
      await running.stop()
    },
  )
})

describe('the files of TLS options', () => {
  const ca = authority('ca')
  const [own, other] = [issue(ca, { name: 'own' }), issue(ca, { name: 'other' })]
  const encrypted = createPrivateKey(own.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  })
  const broken = own.cert.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n')

  const start = (words: readonly string[], to = 'https://127.0.0.1:1') =>
    run(['run', '--to', to, '--listen', '127.0.0.1:0', '--admin', 'off', ...words])

  test.each<[string, string, string, string, string]>([
    ['a certificate that is not PEM', '--tls-cert', 'hello', own.key, 'not PEM'],
    ['a certificate that is damaged', '--tls-cert', broken, own.key, 'cannot be read'],
    ['a chain whose second certificate is damaged', '--tls-cert', own.cert + broken, own.key, 'certificate 2 of 2'],
    ['a key that is not PEM', '--tls-key', own.cert, 'hello', 'not PEM'],
    ['a certificate in place of the key', '--tls-key', own.cert, own.cert, 'PRIVATE KEY'],
    ['a key of another certificate', '--tls-key', own.cert, other.key, 'does not belong to the certificate'],
    ['a key that is encrypted', '--tls-key', own.cert, String(encrypted), 'openssl pkey'],
  ])('%s is refused', async (_what, option, cert, key, why) => {
    const [certFile, keyFile] = [file('cert.pem', cert), file('key.pem', key)]
    const { code, stderr } = await start(['--tls-cert', certFile, '--tls-key', keyFile])
    expect(code).toBe(78)
    expect(stderr).toContain(`${option} ${option === '--tls-cert' ? certFile : keyFile}: `)
    expect(stderr).toContain(why)
  })

  test('a key that everybody can read is refused', async () => {
    const words = ['--tls-cert', file('cert.pem', own.cert, 0o644), '--tls-key', file('key.pem', own.key, 0o644)]
    expect(await start(words)).toMatchObject({ code: 78, stderr: expect.stringContaining('mode 0644') })
  })

  test('--tls-ca that is not PEM is refused', async () => {
    expect(await start(['--tls-ca', file('ca.pem', 'hello')])).toMatchObject({
      code: 78,
      stderr: expect.stringMatching(/--tls-ca .*not PEM/),
    })
  })

  test('one of certificate and key alone, or both for http, is a wrong command line', async () => {
    const [cert, key] = [file('cert.pem', own.cert), file('key.pem', own.key)]
    expect(await start(['--tls-cert', cert])).toMatchObject({ code: 2, stderr: expect.stringContaining('--tls-key') })
    expect(await start(['--tls-key', key])).toMatchObject({ code: 2, stderr: expect.stringContaining('--tls-cert') })
    const both = ['--tls-cert', cert, '--tls-key', key]
    expect(await start(both, 'http://127.0.0.1:1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('not https'),
    })
    expect(await start(['--tls-server-name', 'x'], 'http://127.0.0.1:1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('not https'),
    })
  })
})
