import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OutOfOrderStore, type OverlapPolicy, type StoredSegment } from '../../src/reassembly/out-of-order-store.ts'
import { seqAdd, seqDistance } from '../../src/wire/seq.ts'
import { AheadOfHole, type Coalescing } from '../kernel/ahead-of-hole.ts'
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
    isWhole: true,
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

/** What a receiver reads that keeps its segments whole, once the gap in front of `from` is filled: by offset. */
function linuxReads(list: readonly [number, string][], from: number, coalescing: Coalescing): Map<number, string> {
  const queue = new AheadOfHole(coalescing)
  for (const [at, text] of list) queue.insert(at, Buffer.from(text, 'latin1'), false)
  const read = new Map<number, string>()
  let next = from
  for (;;) {
    const waiting = queue.next(next)
    const end = queue.end
    if (waiting === null) {
      if (end === null) return read
      // Another gap, that is filled in turn.
      next++
      continue
    }
    for (const [i, char] of [...waiting.data.toString('latin1')].entries())
      if (waiting.seq + i >= next) read.set(waiting.seq + i, char)
    next = waiting.seq + waiting.data.length
  }
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
          store.insert(segment(start + at, text), seqAdd(start, -1))
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
  test('any order of overlapping segments leaves what a receiver reads, whether it joins them or not, but for conflicts', () => {
    let decided = 0
    fc.assert(
      fc.property(base, inserts, (start, list) => {
        const store = new OutOfOrderStore('linux')
        const unknown = new Set<number>()
        for (const [at, text] of list) {
          store.insert(segment(start + at, text), seqAdd(start, -1))
          for (const { seq, length } of store.conflicts)
            for (let i = 0; i < length; i++) unknown.add(seqDistance(start, seq) + i)
          checkStore(store)
        }
        const ours = drain(store, start).flatMap(({ at, text }) => [...text].map((char, i) => [at + i, char] as const))
        for (const coalescing of ['always', 'never'] as const) {
          const theirs = linuxReads(list, -1, coalescing)
          expect(ours.map(([at]) => at)).toEqual([...theirs.keys()])
          for (const [at, char] of ours) if (!unknown.has(at)) expect([at, char]).toEqual([at, theirs.get(at)])
        }
        decided += ours.filter(([at]) => !unknown.has(at)).length
        expect(store.cost).toBe(0)
      }),
      { numRuns: 500 },
    )
    expect(decided).toBeGreaterThan(1000)
  })

  test('what is whole from the next byte on was read: a later copy changes nothing of it', () => {
    const store = new OutOfOrderStore('linux')
    store.insert(segment(0, 'aaaa'), 0)
    store.insert(segment(0, 'bbbbbb'), 0)
    store.insert(segment(8, 'cc'), 0)
    store.insert(segment(6, 'dddd'), 0)
    expect(store.conflicts).toEqual([])
    expect(drain(store, 0).map((p) => p.text)).toEqual(['aaaa', 'bb', 'dddd'])
  })

  test('of three copies, or of one that touches another, nobody can tell which is kept', () => {
    const three = new OutOfOrderStore('linux')
    for (const [at, text] of [
      [4, 'aaaa'],
      [2, 'bbbb'],
      [6, 'cccc'],
    ] as const)
      three.insert(segment(at, text), 0)
    expect(three.conflicts).toEqual([{ seq: 6, length: 2 }])
    const touching = new OutOfOrderStore('linux')
    touching.insert(segment(2, 'aa'), 0)
    touching.insert(segment(4, 'bb'), 0)
    touching.insert(segment(3, 'ac'), 0)
    expect(touching.conflicts).toEqual([{ seq: 4, length: 1 }])
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
      for (const { at, text } of list) store.insert(segment(at, text), -1)
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
      store.insert(segment(0, 'abcd'), -1)
      store.insert(segment(2, 'cdef'), -1)
      store.insert(segment(0, 'abcd'), -1)
      store.insert(segment(10, 'xy'), -1)
      expect(store.differing, policy).toBe(0)
      store.insert(segment(2, 'c!'), -1)
      expect(store.differing, policy).toBe(1)
    }
  })

  test('a piece that lost its beginning is not where its segment starts any more', () => {
    const store = new OutOfOrderStore('linux')
    store.insert(segment(0, 'aaaa'), -1)
    store.insert(segment(2, 'bbbb'), -1)
    expect(drain(store, 0)).toMatchObject([{ startsSegment: true }, { startsSegment: false }])
  })

  test('marks the segment that begins where the other side has acknowledged to, and only that one', () => {
    const store = new OutOfOrderStore('linux')
    for (const at of [10, 20, 30]) store.insert({ ...segment(at, 'xx'), isAckedTo: false }, 0)
    for (const seq of [20, 11, 12, 99]) store.markAckedTo(seq)
    expect([store.shift(), store.shift(), store.shift()].map((s) => s.isAckedTo)).toEqual([false, true, false])
  })

  test('trimming leaves exactly what stands at or after the mark', () => {
    fc.assert(
      fc.property(base, inserts, fc.integer({ min: -5, max: 90 }), (start, list, mark) => {
        const store = new OutOfOrderStore('first')
        const bitmap = new Bitmap('first')
        for (const [at, text] of list) {
          store.insert(segment(start + at, text), seqAdd(start, -1))
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
      store.insert(segment(i * 10, '0123456789'), -1)
      if (i % 3 > 0) expect(store.shift().end).toBe(10)
    }
    checkStore(store)
    expect(store.length).toBe(5000 - 3333)
  })
})
