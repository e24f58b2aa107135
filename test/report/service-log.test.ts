import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const SERVICE_LOG = fileURLToPath(new URL('../../dist/src/report/service-log.js', import.meta.url))

interface Line {
  readonly msg: string
  readonly name: string
}

/** What a process writes to a stderr that is no terminal. */
function linesOf(code: string, level = 'info'): Line[] {
  return textOf(code, level)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

function textOf(code: string, level: string): string {
  const program = `
    const { openServiceLog } = await import(${JSON.stringify(SERVICE_LOG)})
    const log = openServiceLog(process.stderr, { level: '${level}' })
    ${code}`
  const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  return stderr
}

describe('the log of a service whose stderr is no terminal', () => {
  test('loses no line and changes no order, though its first lines come before the logger is loaded', () => {
    const lines = linesOf(`
      log.warn('one')
      log.prepare()
      log.info('two', 'sentence', { n: 2 })
      await new Promise((resolve) => setTimeout(resolve, 500))
      log.warn('three', { n: 3 })
      process.exit(0)`)
    expect(lines.map(({ msg }) => msg)).toEqual(['one', 'two', 'three'])
    expect(lines).toMatchObject([{ level: 40 }, { level: 30, n: 2 }, { level: 40, n: 3, name: 'mirrorshard' }])
  })

  test('shows no control of a configured text to who looks at the log in a terminal, and says the same', () => {
    const path = '/a\x1b[31m\n\x7f\x9b2J\u061c\u202e\u2028.yaml'
    const text = textOf(`log.info('reloaded', '', { config: ${JSON.stringify(path)} })`, 'info')
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u202e\u2028]/)
    expect(JSON.parse(text)).toMatchObject({ msg: 'reloaded', config: path })
  })

  test('writes waiting lines when the process ends by itself, and none below its level', () => {
    expect(linesOf(`log.info('quiet', '', {}); log.warn('loud')`, 'warn').map(({ msg }) => msg)).toEqual(['loud'])
  })
})

describe('the form of the log', () => {
  /** What `code` has a log of this form write, to a stream that is no terminal. */
  function written(form: 'text' | 'json', code: string): string[] {
    const program = `
      const { openServiceLog } = await import(${JSON.stringify(SERVICE_LOG)})
      let now = 0
      const log = openServiceLog(process.stderr, { level: 'info', format: '${form}', nowMs: () => now })
      ${code}`
    const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
    return stderr.split('\n').filter((line) => line !== '')
  }
  const outage = `
    log.event('origin-down', 'origin a is down: \\x1b[31mred', { origin: 'a', code: null }, 'a')
    log.event('origin-up', 'origin a answers again', { origin: 'a' }, 'a')`

  test('text is one sentence a line, and says what is a warning', () => {
    expect(written('text', outage)).toEqual([
      'mirrorshard: warning: origin a is down: ·[31mred',
      'mirrorshard: origin a answers again',
    ])
  })

  test('JSON has event and text in every line; msg is the event where all is well, else the sentence', () => {
    expect(written('json', outage).map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 40,
        origin: 'a',
        code: null,
        event: 'origin-down',
        text: 'origin a is down: ·[31mred',
        msg: 'origin a is down: ·[31mred',
      },
      { level: 30, origin: 'a', event: 'origin-up', text: 'origin a answers again', msg: 'origin-up' },
    ])
  })

  test('what comes and goes is told at first, then once a minute; at the end what is held back is told', () => {
    const code = `
      const flap = () => {
        log.event('origin-down', 'down at ' + now, {}, 'a')
        now += 1000
        log.event('origin-up', 'up at ' + now, {}, 'a')
        now += 1000
      }
      for (let n = 0; n < 10; n++) flap()
      log.flush()`
    expect(written('text', code)).toEqual([
      'mirrorshard: warning: down at 0',
      'mirrorshard: up at 1000',
      // A second cause would have a line too.
      'mirrorshard: warning: down at 2000',
      'mirrorshard: up at 19000 (8 times more in the last 60 s)',
    ])
  })

  test('the summary is written whatever the level is', () => {
    const code = `
      log.setLevel('silent')
      log.event('reloaded', 'not told', {})
      log.event('summary', 'Nothing was lost.', { seconds: 1 })
      log.event('reloaded', 'not told', {})`
    const lines = written('json', code).map((line) => JSON.parse(line))
    expect(lines).toMatchObject([{ event: 'summary', msg: 'summary', seconds: 1, text: 'Nothing was lost.' }])
  })
})
