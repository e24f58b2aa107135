import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MirrorError } from '../../../src/base/errors.ts'
import type { RecordSource } from '../../../src/sources/capture-record.ts'
import { mergeCaptures } from '../../../src/sources/files/merge-captures.ts'
import { openCaptureInput } from '../../../src/sources/files/open-capture.ts'
import { pcapFile } from './capture-builder.ts'
import { PiecewiseInput, readAll } from './reading.ts'

/** A capture whose packets say which one it is and the how-manieth they are. */
function capture(name: string, seconds: readonly number[], sizes?: readonly number[]): Promise<RecordSource> {
  const packets = seconds.map((second, i) => ({ data: Buffer.from(`${name}${i}`), seconds: second, fraction: 0 }))
  return openCaptureInput(new PiecewiseInput(pcapFile(packets), sizes))
}

async function merged(...sources: Promise<RecordSource>[]): Promise<string[]> {
  const source = mergeCaptures(await Promise.all(sources))
  return (await readAll(source)).map((read) => read.data)
}

test('records come in order of time', async () => {
  expect(await merged(capture('a', [1, 4, 5]), capture('b', [2, 3, 9]), capture('c', [6]))).toEqual(
    'a0 b0 b1 a1 a2 c0 b2'.split(' '),
  )
})

test('at equal times the order given decides', async () => {
  expect(await merged(capture('a', [5, 7]), capture('b', [5, 5, 7]), capture('c', [5]))).toEqual(
    'a0 b0 b1 c0 a1 b2'.split(' '),
  )
})

test('a source whose times go back keeps its own order', async () => {
  expect(await merged(capture('a', [10, 2, 3, 11]), capture('b', [5, 12]))).toEqual('b0 a0 a1 a2 a3 b1'.split(' '))
})

test('a single source is returned as it is', async () => {
  const source = await capture('a', [1])
  expect(mergeCaptures([source])).toBe(source)
})

test('no sources, or only empty ones, end at once', async () => {
  expect(await merged()).toEqual([])
  expect(await merged(capture('a', []), capture('b', []))).toEqual([])
})

test('any sources, read in any pieces, merge to what repeatedly taking the earliest head gives', async () => {
  const source = fc.record({
    seconds: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 12 }),
    sizes: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(source, { maxLength: 6 }), async (sources) => {
      const heads = sources.map(() => 0)
      const expected: string[] = []
      for (;;) {
        let first = -1
        sources.forEach(({ seconds }, i) => {
          const time = seconds[heads[i]!]
          if (time === undefined) return
          if (first < 0 || time < sources[first]!.seconds[heads[first]!]!) first = i
        })
        if (first < 0) break
        expected.push(`${first}-${heads[first]!++}`)
      }
      expect(await merged(...sources.map(({ seconds, sizes }, i) => capture(`${i}-`, seconds, sizes)))).toEqual(
        expected,
      )
    }),
    { numRuns: 200 },
  )
})

test('warnings and progress are those of all sources, and closing closes all', async () => {
  const inputs = ['a', 'b'].map(() => new PiecewiseInput(pcapFile([]).subarray(0, 24)))
  const cut = new PiecewiseInput(Buffer.concat([pcapFile([]), Buffer.alloc(7)]))
  const source = mergeCaptures(await Promise.all([...inputs, cut].map((input) => openCaptureInput(input))))
  await readAll(source)
  expect(source.warnings).toEqual(['test.pcap: cut at offset 24: 16 bytes expected, 7 came'])
  expect([source.bytesRead, source.bytesTotal]).toEqual([79, 79])
  await source.close()
  expect([...inputs, cut].every((input) => input.isClosed)).toBe(true)
})

test('the total is unknown when that of one source is', async () => {
  const known = await capture('a', [])
  const unknown = Object.create(known, { bytesTotal: { value: null } }) as RecordSource
  expect(mergeCaptures([known, unknown]).bytesTotal).toBeNull()
})

test('a source that cannot be read on is left out, and the others go on', async () => {
  class FailingInput extends PiecewiseInput {
    override async read(into: Buffer, at: number): Promise<number> {
      const length = await super.read(into, at)
      if (length === 0) throw new MirrorError('ERR_CAPTURE_READ', 'the disk is gone')
      return length
    }
  }
  const packet = { data: Buffer.from('f0'), seconds: 2, fraction: 0 }
  const failing = await openCaptureInput(new FailingInput(pcapFile([packet])))
  const source = mergeCaptures([await capture('a', [1, 3]), failing])
  const seen: string[] = []
  const errors: unknown[] = []
  for (;;) {
    try {
      if (!(await source.fill())) break
    } catch (error) {
      errors.push(error)
      continue
    }
    while (source.next()) seen.push(source.record.bytes.toString('latin1', source.record.at, source.record.end))
  }
  expect(seen).toEqual(['a0', 'f0', 'a1'])
  expect(errors).toMatchObject([{ code: 'ERR_CAPTURE_READ' }])
})
