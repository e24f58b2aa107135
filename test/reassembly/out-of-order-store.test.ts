import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OutOfOrderStore, type OverlapPolicy, type StoredSegment } from '../../src/reassembly/out-of-order-store.ts'
import { seqAdd, seqDistance } from '../../src/wire/seq.ts'
import { privates, SEGMENT_OVERHEAD } from './rig.ts'

function segment(seq: number, text: string): StoredSegment {
  // The bytes are lent, and lie in the middle of something.
  const bytes = Buffer.from(`##${text}##`)
  return {
    seq: seq | 0,
    bytes,
    at: 2,
    end: 2 + text.length,
    ack: 0,
    hasAck: false,
    timeUs: 0,
    packet: 0,
    arrivedUs: 0,
    startsSegment: true,
    isAckedTo: true,
  }
}

/** All pieces, taken out. */
function drain(store: OutOfOrderStore, base: number): { at: number; text: string; startsSegment: boolean }[] {
  const out = []
  while (store.length > 0) {
    const { seq, bytes, at, end, startsSegment } = store.shift()
    out.push({ at: seqDistance(base, seq), text: bytes.toString('latin1', at, end), startsSegment })
  }
  return out
}

/** Slow and obviously right: a cell per byte. */
class Bitmap {
  readonly cells = new Map<number, string>()
  private readonly policy: 'first' | 'last'

  constructor(policy: 'first' | 'last') {
    this.policy = policy
  }

  insert(at: number, text: string): void {
    for (const [i, char] of [...text].entries()) {
      if (this.policy === 'last' || !this.cells.has(at + i)) this.cells.set(at + i, char)
    }
  }
}

interface Piece {
  at: number
  text: string
}

/**
 * The rules of a Linux receiver's queue, one after the other, on the pieces as they lie:
 * inside or equal to an old one: loses. Same start and longer: replaces it. Starts inside one: keeps what is behind it.
 * Starts earlier than one: wins what they share.
 */
function linuxInsert(pieces: readonly Piece[], at: number, text: string): Piece[] {
  const end = at + text.length
  const endOf = (p: Piece) => p.at + p.text.length
  if (pieces.some((p) => p.at <= at && end <= endOf(p))) return [...pieces]
  const others = pieces.filter((p) => p.at !== at)
  const holder = others.find((p) => p.at < at && at < endOf(p))
  const from = holder === undefined ? at : endOf(holder)
  const kept = others.flatMap((p) => {
    if (p.at < from || p.at >= end) return [p]
    return endOf(p) <= end ? [] : [{ at: end, text: p.text.slice(end - p.at) }]
  })
  return [...kept, { at: from, text: text.slice(from - at) }].sort((a, b) => a.at - b.at)
}

const base = fc.constantFrom(0, 1000, -20, 0x7fffffff - 20, -0x80000000)
const inserts = fc.array(
  fc.tuple(
    fc.integer({ min: 0, max: 60 }),
    fc.string({ minLength: 1, maxLength: 20, unit: fc.constantFrom('a', 'b', 'c') }),
  ),
  { maxLength: 40 },
)

function checkStore(store: OutOfOrderStore): void {
  const { segments, head } = privates<{ segments: StoredSegment[]; head: number }>(store)
  let cost = 0
  let last: StoredSegment | undefined
  for (const piece of segments.slice(head)) {
    expect(piece.end).toBeGreaterThan(piece.at)
    if (last !== undefined)
      expect(seqDistance(seqAdd(last.seq, last.end - last.at), piece.seq)).toBeGreaterThanOrEqual(0)
    cost += piece.end - piece.at + SEGMENT_OVERHEAD
    last = piece
  }
  expect(store.cost).toBe(cost)
}

describe.each(['first', 'last'] as const)('policy %s', (policy) => {
  test('any order of overlapping segments leaves the same bytes as painting them on a bitmap', () => {
    fc.assert(
      fc.property(base, inserts, (start, list) => {
        const store = new OutOfOrderStore(policy)
        const bitmap = new Bitmap(policy)
        for (const [at, text] of list) {
          store.insert(segment(start + at, text))
          bitmap.insert(at, text)
          checkStore(store)
        }
        const painted = drain(store, start).flatMap(({ at, text }) =>
          [...text].map((char, i) => [at + i, char] as const),
        )
        expect(painted).toEqual([...bitmap.cells].sort(([a], [b]) => a - b))
        expect(store.cost).toBe(0)
      }),
      { numRuns: 500 },
    )
  })
})

describe('policy linux', () => {
  test('any order of overlapping segments leaves what the rules leave, piece by piece', () => {
    fc.assert(
      fc.property(base, inserts, (start, list) => {
        const store = new OutOfOrderStore('linux')
        let model: Piece[] = []
        for (const [at, text] of list) {
          store.insert(segment(start + at, text))
          model = linuxInsert(model, at, text)
          checkStore(store)
        }
        expect(drain(store, start).map(({ at, text }) => ({ at, text }))).toEqual(model)
        expect(store.cost).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  const cases: [string, Piece[], string][] = [
    [
      'inside an old one: loses',
      [
        { at: 0, text: 'aaaa' },
        { at: 1, text: 'bb' },
      ],
      'aaaa',
    ],
    [
      'equal to an old one: loses',
      [
        { at: 0, text: 'aaaa' },
        { at: 0, text: 'bbbb' },
      ],
      'aaaa',
    ],
    [
      'same start and longer: replaces',
      [
        { at: 0, text: 'aaaa' },
        { at: 0, text: 'bbbbbb' },
      ],
      'bbbbbb',
    ],
    [
      'same start and shorter: loses',
      [
        { at: 0, text: 'aaaa' },
        { at: 0, text: 'bb' },
      ],
      'aaaa',
    ],
    [
      'starts earlier: wins the overlap',
      [
        { at: 2, text: 'aaaa' },
        { at: 0, text: 'bbbb' },
      ],
      'bbbbaa',
    ],
    [
      'starts inside and runs past: keeps its tail',
      [
        { at: 0, text: 'aaaa' },
        { at: 2, text: 'bbbb' },
      ],
      'aaaabb',
    ],
    [
      'covers one: replaces it',
      [
        { at: 2, text: 'aa' },
        { at: 0, text: 'bbbbbb' },
      ],
      'bbbbbb',
    ],
  ]
  for (const [name, list, expected] of cases) {
    test(name, () => {
      const store = new OutOfOrderStore('linux')
      for (const { at, text } of list) store.insert(segment(at, text))
      expect(
        drain(store, 0)
          .map((p) => p.text)
          .join(''),
      ).toBe(expected)
    })
  }
})

describe('the store', () => {
  test('counts overlaps whose bytes differ, and no others', () => {
    for (const policy of ['first', 'last', 'linux'] as OverlapPolicy[]) {
      const store = new OutOfOrderStore(policy)
      store.insert(segment(0, 'abcd'))
      store.insert(segment(2, 'cdef'))
      store.insert(segment(0, 'abcd'))
      store.insert(segment(10, 'xy'))
      expect(store.differing, policy).toBe(0)
      store.insert(segment(2, 'c!'))
      expect(store.differing, policy).toBe(1)
    }
  })

  test('a piece that lost its beginning is not where its segment starts any more', () => {
    const store = new OutOfOrderStore('linux')
    store.insert(segment(0, 'aaaa'))
    store.insert(segment(2, 'bbbb'))
    expect(drain(store, 0)).toMatchObject([{ startsSegment: true }, { startsSegment: false }])
  })

  test('marks the segment that begins where the other side has acknowledged to, and only that one', () => {
    const store = new OutOfOrderStore('linux')
    for (const at of [10, 20, 30]) store.insert({ ...segment(at, 'xx'), isAckedTo: false })
    for (const seq of [20, 11, 12, 99]) store.markAckedTo(seq)
    expect([store.shift(), store.shift(), store.shift()].map((s) => s.isAckedTo)).toEqual([false, true, false])
  })

  test('trimming leaves exactly what stands at or after the mark', () => {
    fc.assert(
      fc.property(base, inserts, fc.integer({ min: -5, max: 90 }), (start, list, mark) => {
        const store = new OutOfOrderStore('first')
        const bitmap = new Bitmap('first')
        for (const [at, text] of list) {
          store.insert(segment(start + at, text))
          bitmap.insert(at, text)
        }
        store.trimBefore(seqAdd(start, mark))
        checkStore(store)
        const cells = drain(store, start).flatMap(({ at, text }) => [...text].map((char, i) => [at + i, char] as const))
        expect(cells).toEqual([...bitmap.cells].filter(([at]) => at >= mark).sort(([a], [b]) => a - b))
      }),
    )
  })

  test('continues through thousands of inserts and takings', () => {
    const store = new OutOfOrderStore('linux')
    for (let i = 0; i < 5000; i++) {
      store.insert(segment(i * 10, '0123456789'))
      if (i % 3 > 0) expect(store.shift().end).toBe(10)
    }
    checkStore(store)
    expect(store.length).toBe(5000 - 3333)
  })
})
