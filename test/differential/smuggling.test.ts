/** The shapes of smuggling-shapes.ts, cut at every place: each is refused with its reason, or read as its row says and no other way. */
import { describe, expect, test } from 'vitest'
import { REQUEST_DROP_NAMES } from '../../src/base/drop.ts'
import { bytesOf, inBytes } from '../http/support/parsing.ts'
import { lineOf, readAsWeDo } from './our-reading.ts'
import { kindOf, NEXT, SHAPES } from './smuggling-shapes.ts'

/** All places in short streams; in long ones the first and last of them and some between. */
function places(length: number): number[] {
  const all = Array.from({ length: length - 1 }, (_, i) => i + 1)
  return length < 1500 ? all : all.filter((at) => at < 100 || length - at < 100 || at % 997 === 0)
}

describe.each([...new Set(SHAPES.map(({ family }) => family))])('%s', (family) => {
  test.each(SHAPES.filter((shape) => shape.family === family).map((shape) => [shape.name, shape] as const))(
    '%s',
    (_name, shape) => {
      const bytes = bytesOf(shape.bytes + NEXT)
      const whole = readAsWeDo([bytes])
      expect(whole.verdicts.map(lineOf)).toEqual(shape.reads)
      const isReadOn = kindOf(shape) !== 'refused'
      // Whatever stands behind an ambiguous message is counted, to the last byte.
      const skipped = whole.bytes.afterAmbiguous + whole.bytes.otherProtocol
      if (isReadOn) expect(skipped).toBe(0)
      else expect(skipped).toBeGreaterThanOrEqual(NEXT.length)
      for (const at of places(bytes.length))
        expect(readAsWeDo([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual(whole)
      expect(readAsWeDo(inBytes(bytes)), 'byte by byte').toEqual(whole)
    },
  )
})

test('what is smuggled is never taken where the message in front of it is refused', () => {
  const refused = SHAPES.filter((shape) => kindOf(shape) === 'refused')
  expect(refused.length).toBeGreaterThan(100)
  expect(refused.filter(({ reads }) => reads.some((read) => read.includes('/smuggled')))).toEqual([])
})

test('names are unique, and reasons are reasons there are', () => {
  const names = SHAPES.map(({ family, name }) => `${family}: ${name}`)
  expect(new Set(names).size).toBe(names.length)
  const reasons = SHAPES.flatMap(({ reads }) => reads.filter((read) => read.startsWith('-')).map((r) => r.slice(1)))
  expect(reasons.filter((reason) => !REQUEST_DROP_NAMES.includes(reason))).toEqual([])
})
