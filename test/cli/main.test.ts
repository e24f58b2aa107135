import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** The built program: `npm test` builds it first. */
const MAIN = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** @param closeStdout stop reading before anything came, as `| head -0` does */
async function start(argv: readonly string[], closeStdout = false): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  if (closeStdout) child.stdout.destroy()
  else child.stdout.on('data', (chunk) => (stdout += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, stdout, stderr }
}

describe.skipIf(!existsSync(MAIN))('the built program', () => {
  test('prints its version', async () => {
    expect(await start(['--version'])).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
      stderr: '',
    })
  })

  test('ends quietly with 0 when nobody reads what it prints', async () => {
    expect(await start(['config', 'schema'], true)).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('ends with 2 for a wrong command line and with 78 for a wrong configuration, on standard error', async () => {
    expect(await start(['run', '--worker', '2'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('Did you mean --workers?'),
    })
    expect(await start(['validate', '--config', 'no-such-file.yaml'])).toEqual({
      code: 78,
      stdout: '',
      stderr: 'mirrorshard: --config no-such-file.yaml: no such file or directory (ENOENT)\n',
    })
  })

  test('SIGHUP while `run` is still being loaded does not end it, and is acted upon when it receives', async () => {
    // At the first thing that the entry point does after listening for it, before anything else is loaded.
    const preload = `data:text/javascript,${encodeURIComponent(`
      const on = process.on
      process.on = function (name, listener) {
        if (name === 'uncaughtException') process.kill(process.pid, 'SIGHUP')
        return on.call(this, name, listener)
      }`)}`
    const args = ['--listen', '127.0.0.1:0', '--admin', 'off', '--to', 'null', '--workers', '0']
    const child = spawn(process.execPath, ['--import', preload, MAIN, 'run', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ended = once(child, 'close')
    let stderr = ''
    let isTold = false
    child.stderr.on('data', (chunk) => {
      stderr += chunk
      if (isTold || !stderr.includes('SIGHUP: there is no --config file')) return
      isTold = true
      child.kill('SIGTERM')
    })
    expect(await ended).toEqual([0, null])
    expect(stderr).toContain('"msg":"receiving"')
  })
})

describe('an old Node', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    engines: { node: string }
  }
  const entry = existsSync(MAIN) ? readFileSync(MAIN, 'utf8').split('//# sourceMappingURL')[0]! : ''

  test('is told from which version on, and what it is, in one line, before anything else is loaded', async () => {
    // Node 14 is Node without what came after it: nothing of the entry point may need more.
    const old = `data:text/javascript,${encodeURIComponent(`
      const versions = { ...process.versions, node: '18.20.8' }
      globalThis.process = new Proxy(process, { get: (on, key) => key === 'versions' ? versions : Reflect.get(on, key) })
      process.stderr.write = process.stderr.write.bind(process.stderr)`)}`
    const child = spawn(process.execPath, ['--import', old, MAIN, 'run', '--to', 'null'], { stdio: 'pipe' })
    let stderr = ''
    child.stderr.on('data', (chunk) => (stderr += chunk))
    expect(await once(child, 'close')).toEqual([1, null])
    expect(stderr).toBe('mirrorshard: needs Node 20.19 or later, found 18.20.8\n')
  })

  test('is one below what package.json asks for', () => {
    expect(manifest.engines.node).toBe('>=20.19')
    expect(entry).toContain('[20, 19]')
  })

  test('can read the entry point: it imports nothing before it has looked, and uses no younger syntax', () => {
    expect(entry).not.toMatch(/^import[ {"']/m)
    expect(entry).toMatch(/import\("\.\/chunks\//)
    expect(entry).not.toMatch(/\?\?|\?\.|\*\*|#\w+ =|\bawait import/)
  })
})
