/** What an install says about live capture. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../deploy/after-install.cjs', import.meta.url))

/** The script in a package of its own, beside this package cap. @param cap its code; null: it is not there */
function install(cap: string | null): { status: number | null; stdout: string; stderr: string } {
  const dir = mkdtempSync(join(tmpdir(), 'mirrorshard-install-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  cpSync(SCRIPT, join(dir, 'deploy', 'after-install.cjs'))
  if (cap !== null) {
    mkdirSync(join(dir, 'node_modules/cap'), { recursive: true })
    writeFileSync(join(dir, 'node_modules/cap/index.js'), cap)
  }
  return spawnSync(process.execPath, [join(dir, 'deploy', 'after-install.cjs')], { encoding: 'utf8' })
}

test('with package cap built: that live capture is available', () => {
  expect(install('exports.Cap = class {}')).toMatchObject({
    status: 0,
    stdout: 'mirrorshard: live capture (capture, run --interface) is available.\n',
    stderr: '',
  })
})

test.each([
  ['not there', null],
  ['not built', "require('./build/Release/cap.node')"],
])('with package cap %s: that it is not, and how to get it, in two lines; the install goes on', (_what, cap) => {
  const { status, stdout, stderr } = install(cap)
  expect([status, stderr]).toEqual([0, ''])
  const lines = stdout.trimEnd().split('\n')
  expect(lines).toHaveLength(2)
  expect(lines[0]).toContain('is not available: the optional package cap was not built')
  expect(lines[1]).toContain('apt-get install libpcap-dev g++ make python3')
})
