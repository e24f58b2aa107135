import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const JOURNAL = fileURLToPath(new URL('../../dist/src/report/journal.js', import.meta.url))

/** What a process writes to a stderr that is no terminal. */
function linesOf(code: string, level = 'info'): { msg: string; name: string }[] {
  const program = `
    const { openJournal } = await import(${JSON.stringify(JOURNAL)})
    const journal = openJournal(process.stderr, '${level}', () => {})
    ${code}`
  const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

describe('the journal of a service whose stderr is no terminal', () => {
  test('loses no line and changes no order, though its first lines come before the logger is loaded', () => {
    const lines = linesOf(`
      journal.warn('one')
      journal.prepare()
      journal.info('two', 'sentence', { n: 2 })
      await new Promise((resolve) => setTimeout(resolve, 500))
      journal.warn('three', { n: 3 })
      process.exit(0)`)
    expect(lines.map(({ msg }) => msg)).toEqual(['one', 'two', 'three'])
    expect(lines).toMatchObject([{ level: 40 }, { level: 30, n: 2 }, { level: 40, n: 3, name: 'mirrorshard' }])
  })

  test('writes waiting lines when the process ends by itself, and none below its level', () => {
    expect(linesOf(`journal.info('quiet', '', {}); journal.warn('loud')`, 'warn').map(({ msg }) => msg)).toEqual([
      'loud',
    ])
  })
})
