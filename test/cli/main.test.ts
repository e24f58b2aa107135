import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
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
