import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** @param onOutput sees stdout as it grows */
function demo(
  words: readonly string[],
  onOutput: (stdout: string, kill: () => void) => void = () => {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, 'demo', ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
      onOutput(stdout, () => child.kill('SIGTERM'))
    })
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

describe('the demo', () => {
  test.each([
    ['0', 'recvmmsg'],
    ['0', 'dgram'],
    ['2', 'recvmmsg'],
    ['2', 'dgram'],
  ])('delivers every request exactly once with %s workers and receiver %s', async (workers, receiver) => {
    const { code, stdout } = await demo(['--requests', '300', '--workers', workers, '--receiver', receiver])
    expect(stdout).toContain('Passed: 300 requests sent, each arrived exactly once, byte-exact and in order.')
    expect(stdout).toMatch(/byte-exact +300 /)
    expect(code).toBe(0)
  })

  test('with --keep goes on until it is told to stop, and serves its numbers meanwhile', async () => {
    let metrics: Promise<string> | null = null
    const { code, stdout } = await demo(['--requests', '50', '--keep'], (text, kill) => {
      const url = /Its numbers: (http:\S+\/metrics)/.exec(text)?.[1]
      if (url === undefined || metrics !== null) return
      metrics = fetch(url).then((response) => response.text())
      metrics.finally(() => setTimeout(kill, 300)).catch(kill)
    })
    expect(await metrics).toMatch(/^mirrorshard_requests_parsed_total \d+/m)
    expect(stdout.match(/^Passed: \d+ requests/gm)).toHaveLength(2)
    expect(code).toBe(0)
  })
})
