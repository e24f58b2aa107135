import { expect, test } from 'vitest'
import { MirrorError } from '../../src/base/errors.ts'
import { reportFatal } from '../../src/cli/fatal.ts'

function report(error: unknown, env: NodeJS.ProcessEnv = {}): { code: number; text: string } {
  const texts: string[] = []
  const code = reportFatal(error, env, { write: (text) => texts.push(text) })
  return { code, text: texts.join('') }
}

test('an error of ours ends with its own exit code, each line with the program’s name', () => {
  expect(report(new MirrorError('ERR_CONFIG', 'a.yaml:1:1: one\na.yaml:2:1: two'))).toEqual({
    code: 78,
    text: 'mirrorshard: a.yaml:1:1: one\nmirrorshard: a.yaml:2:1: two\n',
  })
})

test('an error of the system is one line in plain words', () => {
  const error = Object.assign(new Error('ENOENT: no such file or directory, open "x"'), { code: 'ENOENT', path: 'x' })
  expect(report(error)).toEqual({ code: 1, text: 'mirrorshard: x: no such file or directory (ENOENT)\n' })
})

test('any other error is one line without a stack trace, whatever was thrown', () => {
  const oneLine = /^mirrorshard: [^\n]+ \(internal error; MIRRORSHARD_DEBUG=1 shows where\)\n$/
  expect(report(new TypeError('x is undefined\n    at y'))).toEqual({ code: 1, text: expect.stringMatching(oneLine) })
  expect(report('a text')).toEqual({ code: 1, text: expect.stringMatching(oneLine) })
  expect(report(undefined)).toEqual({ code: 1, text: expect.stringMatching(oneLine) })
  expect(report(null)).toEqual({ code: 1, text: expect.stringMatching(oneLine) })
})

test('the stack trace, and what caused the error, show with MIRRORSHARD_DEBUG=1', () => {
  const { text } = report(new MirrorError('ERR_LISTEN', 'no port', { cause: new Error('deeper') }), {
    MIRRORSHARD_DEBUG: '1',
  })
  expect(text).toContain('fatal.test.ts')
  expect(text).toContain('deeper')
})
