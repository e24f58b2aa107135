/** What a receiver throws away is not delivered, and what it may have thrown away not before that is known. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { seqAdd } from '../../src/wire/seq.ts'
import { ACK, FIN, Rig, RST, SYN } from './rig.ts'

const URG = 32
const SECOND = 1_000_000
const int32 = (n: number) => {
  const b = Buffer.alloc(4)
  b.writeInt32BE(n | 0)
  return b
}
const timestamps = (tsval: number, tsecr = 1) => Buffer.concat([Buffer.from([1, 1, 8, 10]), int32(tsval), int32(tsecr)])
const MD5 = Buffer.concat([Buffer.from([19, 18]), Buffer.alloc(16, 7), Buffer.from([1, 1])])

/** Handshake with timestamps of both sides; `ts` is the client's. */
function stamped(ts = 1000): Rig {
  const rig = new Rig()
  rig.client({ flags: SYN, seq: 100, options: timestamps(ts) })
  rig.server({ flags: SYN | ACK, seq: 900, ack: 101, options: timestamps(5) })
  rig.client({ seq: 101, ack: 901, options: timestamps(ts) })
  return rig
}

function opened(): Rig {
  const rig = new Rig()
  rig.handshake(100, 900)
  return rig
}

function delivered(rig: Rig): string {
  rig.closeAll()
  return rig.streams[0]?.text(0) ?? ''
}

describe('thrown away', () => {
  test('a segment without ACK, and a FIN without it (RFC 9293 section 3.10.7.4)', () => {
    const rig = opened()
    rig.client({ seq: 101, flags: 0, data: 'evil' })
    rig.client({ seq: 101, flags: FIN })
    rig.client({ seq: 101, ack: 901, data: 'good' })
    expect(rig.get('segmentsWithoutAck')).toBe(2)
    expect(delivered(rig)).toBe('good')
  })

  test.each([1000, -5, 0x7fffffff])('an old timestamp, where the true copy comes (PAWS; newest %d)', (ts) => {
    const rig = stamped(ts)
    rig.client({ seq: 101, ack: 901, data: 'a', options: timestamps(ts + 10) })
    rig.client({ seq: 102, ack: 901, data: 'evil', options: timestamps(ts - 50_000) })
    rig.client({ seq: 102, ack: 901, flags: FIN | ACK, options: timestamps(ts - 50_000) })
    rig.client({ seq: 102, ack: 901, data: 'good', options: timestamps(ts + 20) })
    expect(delivered(rig)).toBe('agood')
    expect(rig.get('segmentsOldTimestamp')).toBe(2)
  })

  test('what lies beyond the window, where the true copy comes', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, data: 'a' })
    rig.client({ seq: 101 + 100_000, ack: 901, data: 'evil' })
    rig.server({ seq: 901, ack: 102 })
    rig.client({ seq: 102, ack: 901, data: 'b' })
    expect(delivered(rig)).toBe('ab')
    expect(rig.get('segmentsOutOfWindow')).toBe(1)
  })

  test('an acknowledgement of what was never sent, when a bare acknowledgement shows where the peer stands', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901 + 5000, data: 'evil' })
    rig.server({ seq: 901, ack: 105 })
    rig.client({ seq: 105, ack: 901, data: 'next' })
    expect(delivered(rig)).toBe('<4>next')
    expect(rig.get('segmentsAckUnsent')).toBe(1)
  })

  test('a RST that is not exactly at the next number; one that is ends the connection, whatever its timestamp', () => {
    const rig = stamped()
    rig.client({ seq: 101, ack: 901, data: 'a', options: timestamps(1010) })
    rig.client({ seq: 3000, flags: RST })
    rig.server({ seq: 901, ack: 102, options: timestamps(9) })
    rig.client({ seq: 102, ack: 901, data: 'b', options: timestamps(1020) })
    expect(rig.get('resetsIgnored')).toBe(1)
    rig.client({ seq: 103, flags: RST, options: timestamps(1) })
    expect(rig.stream.log.at(-1)).toBe('close reset')
    rig.closeAll()
  })

  test('a SYN and a SYN+ACK in an open connection, and their data', () => {
    const rig = opened()
    rig.client({ seq: 3000, flags: SYN, data: 'evil' })
    rig.client({ seq: 100, ack: 901, flags: SYN | ACK, data: 'evil' })
    rig.client({ seq: 101, ack: 901, data: 'good' })
    expect(rig.get('flowsOpened')).toBe(1)
    expect(delivered(rig)).toBe('good')
  })

  test.each([
    ['in front of the first byte', ''],
    ['behind the first request', 'a'],
  ])('a FIN one byte back: its receiver has that byte; %s', (_, first) => {
    const rig = opened()
    if (first !== '') rig.client({ seq: 101, ack: 901, data: first })
    const next = 101 + first.length
    rig.client({ seq: next - 1, ack: 901, flags: FIN | ACK })
    rig.client({ seq: next, ack: 901, data: 'good' })
    expect(delivered(rig)).toBe(`${first}good`)
  })

  test.each([0, 1, 3000])('a SYN+ACK of either side %d ahead, before its first byte', (ahead) => {
    const rig = opened()
    rig.client({ seq: 101 + ahead, ack: 901, flags: SYN | ACK, data: 'evil' })
    rig.client({ seq: 101, ack: 901, data: 'good' })
    rig.server({ seq: 901 + ahead, ack: 105, flags: SYN | ACK, data: 'evil' })
    rig.server({ seq: 901, ack: 105, data: 'answer' })
    expect(delivered(rig)).toBe('good')
    expect(rig.stream.text(1)).toBe('answer')
    expect(rig.get('segmentsSynInWindow')).toBe(2)
  })

  test('a TCP-MD5 signature in a connection without, and none in one with (RFC 2385)', () => {
    const plain = opened()
    plain.client({ seq: 101, ack: 901, data: 'evil', options: MD5 })
    plain.client({ seq: 101, ack: 901, data: 'good' })
    expect(delivered(plain)).toBe('good')
    const signed = new Rig()
    signed.client({ flags: SYN, seq: 100, options: MD5 })
    signed.server({ flags: SYN | ACK, seq: 900, ack: 101, options: MD5 })
    signed.client({ seq: 101, ack: 901, data: 'evil' })
    signed.client({ seq: 101, ack: 901, data: 'good', options: MD5 })
    expect(delivered(signed)).toBe('good')
  })
})

describe('in doubt', () => {
  test('an old timestamp is taken when the receiver acknowledged it and no other copy came', () => {
    const rig = stamped()
    rig.client({ seq: 101, ack: 901, data: 'abc', options: timestamps(1010) })
    rig.client({ seq: 101, ack: 901, data: 'abc', options: timestamps(1050) })
    rig.client({ seq: 104, ack: 901, data: 'late', options: timestamps(1020) })
    rig.server({ seq: 901, ack: 108, options: timestamps(9) })
    rig.tick(SECOND)
    rig.tick(SECOND)
    expect(delivered(rig)).toBe('abclate')
  })

  test('an acknowledgement of what the mirror lost is believed when the peer continues after it', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, data: 'a' })
    rig.client({ seq: 102, ack: 1901, data: 'b' })
    expect(rig.stream.text(0)).toBe('a')
    rig.server({ seq: 1901, ack: 103, data: 'answer' })
    expect(rig.stream.text(0)).toBe('ab')
    rig.closeAll()
  })

  test('and when what it acknowledges comes late', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, data: 'a' })
    rig.client({ seq: 102, ack: 904, data: 'b' })
    rig.server({ seq: 901, ack: 102, data: 'xyz' })
    expect(rig.stream.text(0)).toBe('ab')
    rig.closeAll()
  })

  test('two copies, of which the first acknowledges what was not seen: neither is delivered', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, data: 'ab' })
    rig.client({ seq: 103, ack: 5901, data: 'evil' })
    rig.client({ seq: 103, ack: 901, data: 'good' })
    rig.client({ seq: 107, ack: 901, data: 'next' })
    expect(rig.stream.log).toContain('0 conflict 4')
    expect(delivered(rig)).toBe('ab<4>next')
  })

  test('two copies that acknowledge the same answer, which the mirror brings late: the first is delivered, as it is without the delay', () => {
    for (const isLate of [true, false]) {
      const rig = opened()
      rig.client({ seq: 101, ack: 901, data: 'a' })
      const answer = () => rig.server({ seq: 901, ack: 102, data: 'x'.repeat(100) })
      if (!isLate) answer()
      rig.client({ seq: 102, ack: 1001, data: 'first' })
      rig.client({ seq: 102, ack: 1001, data: 'other and longer' })
      rig.server({ seq: 1001, ack: 118 })
      if (isLate) answer()
      rig.client({ seq: 118, ack: 1001, data: 'b' })
      expect(delivered(rig)).toBe('afirst and longerb')
    }
  })

  test('the end of the handshake may come late: what the server acknowledges behind it is delivered, the first of two copies', () => {
    const rig = new Rig()
    rig.client({ flags: SYN, seq: 100, options: timestamps(1000) })
    rig.server({ flags: SYN | ACK, seq: 900, ack: 101, options: timestamps(5) })
    rig.client({ seq: 101, ack: 901, data: 'first', options: timestamps(1001, 7) })
    expect(rig.streams).toHaveLength(0)
    rig.server({ seq: 901, ack: 106, options: timestamps(8) })
    expect(rig.stream.text(0)).toBe('first')
    rig.client({ seq: 101, ack: 901, data: 'other', options: timestamps(1002, 7) })
    // Probes repeat the last byte as any other.
    rig.client({ seq: 105, ack: 901, data: '\0', options: timestamps(1002, 7) })
    rig.client({ seq: 101, ack: 901, options: timestamps(1001, 5) })
    rig.client({ seq: 106, ack: 901, data: 'next', options: timestamps(1003, 8) })
    expect(delivered(rig)).toBe('firstnext')
  })

  test('so may all that the server sent behind it, with the client’s first segment', () => {
    const rig = opened()
    const late = new Rig()
    late.client({ flags: SYN, seq: 100 })
    late.server({ flags: SYN | ACK, seq: 900, ack: 101 })
    late.client({ seq: 104, ack: 907, data: 'def' })
    late.server({ seq: 907, ack: 107 })
    late.client({ seq: 101, ack: 901, data: 'abc' })
    late.server({ seq: 901, ack: 104, data: 'answer' })
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.server({ seq: 901, ack: 104, data: 'answer' })
    rig.client({ seq: 104, ack: 907, data: 'def' })
    expect(late.stream.text(0)).toBe('abcdef')
    for (const one of [rig, late]) one.closeAll()
    expect(late.stream.text(1)).toBe(rig.stream.text(1))
  })

  test('where the beginning was not seen, two copies of which the first acknowledges what is far behind: neither is delivered', () => {
    const rig = new Rig()
    rig.client({ seq: 101, ack: 900_000_901, data: 'a' })
    rig.server({ seq: 900_000_901, ack: 102, data: 'answer' })
    rig.client({ seq: 102, ack: 900_000_907, data: 'b' })
    rig.client({ seq: 103, ack: 900_000_907 - 66_000, data: 'evil' })
    rig.client({ seq: 103, ack: 900_000_907, data: 'good' })
    rig.server({ seq: 900_000_907, ack: 107 })
    expect(delivered(rig)).toBe('ab<4>')
  })

  test('and one that only came late is delivered', () => {
    const rig = new Rig()
    rig.client({ seq: 101, ack: 900_000_901, data: 'a' })
    rig.server({ seq: 900_000_901, ack: 102, data: 'answer' })
    rig.client({ seq: 106, ack: 900_000_907, data: 'b' })
    rig.client({ seq: 102, ack: 900_000_907 - 66_000, data: 'late' })
    rig.server({ seq: 900_000_907, ack: 107 })
    rig.tick(SECOND)
    rig.tick(SECOND)
    expect(delivered(rig)).toBe('alateb')
  })
})

describe('urgent data (RFC 6093)', () => {
  test('is a gap under both readings of the pointer, and the rest is delivered', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, data: 'ab' })
    rig.client({ seq: 103, ack: 901, flags: ACK | URG, data: 'X', urgent: 1 })
    rig.client({ seq: 104, ack: 901, data: 'cdef' })
    expect(rig.stream.log.filter((line) => line.includes('urgent'))).toEqual(['0 urgent 1', '0 urgent 1'])
    expect(delivered(rig)).toBe('ab<1><1>def')
  })

  test('points beyond its segment; the byte sent again without the flag is still urgent', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, flags: ACK | URG, data: 'ab', urgent: 4 })
    rig.client({ seq: 103, ack: 901, data: 'cdef' })
    expect(delivered(rig)).toBe('abc<2>f')
  })

  test('a pointer without the flag means nothing', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, data: 'abc', urgent: 2 })
    expect(delivered(rig)).toBe('abc')
  })
})

describe('a new connection on the same five-tuple', () => {
  test('half-open recovery: SYN, acknowledgement of an older connection, RST, the same SYN again', () => {
    for (const ahead of [28_259, -28_259, 1 << 27]) {
      const rig = new Rig()
      rig.client({ flags: SYN, seq: 100 })
      rig.server({ seq: 70_000, ack: 101 + ahead })
      rig.client({ flags: RST, seq: 101 + ahead })
      rig.handshake(100, 900)
      rig.client({ seq: 101, ack: 901, data: 'new' })
      expect(delivered(rig)).toBe('new')
    }
  })

  test('refused, then accepted with the same number', () => {
    const rig = new Rig()
    rig.client({ flags: SYN, seq: 100 })
    rig.server({ flags: RST | ACK, seq: 0, ack: 101 })
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'new' })
    expect(delivered(rig)).toBe('new')
  })

  test.each([5000, 901 + 300, 901 - 300])(
    'closed, and opened with the same number of the client and another of the server (%d)',
    (server) => {
      const rig = opened()
      rig.client({ seq: 101, ack: 901, data: 'old', flags: FIN | ACK })
      rig.server({ seq: 901, ack: 105, flags: FIN | ACK })
      rig.client({ seq: 105, ack: 902 })
      rig.handshake(100, server)
      rig.client({ seq: 101, ack: server + 1, data: 'new' })
      rig.server({ seq: server + 1, ack: 104 })
      rig.closeAll()
      expect(rig.streams.map((stream) => stream.text(0))).toEqual(['old', 'new'])
    },
  )

  test('closed, and its SYN and SYN+ACK once more: nothing begins', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, data: 'old', flags: FIN | ACK })
    rig.server({ seq: 901, ack: 105, flags: FIN | ACK })
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'old', flags: FIN | ACK })
    rig.closeAll()
    expect(rig.streams.map((stream) => stream.text(0))).toEqual(['old'])
  })

  test('on both sides of a firewall that changes the numbers of both, one connection is read, in both directions', () => {
    const rig = new Rig()
    rig.client({ flags: SYN, seq: 100 })
    rig.client({ flags: SYN, seq: 500_000_100 })
    rig.server({ flags: SYN | ACK, seq: 700_000_900, ack: 500_000_101 })
    rig.server({ flags: SYN | ACK, seq: 900, ack: 101 })
    rig.client({ seq: 101, ack: 901 })
    rig.client({ seq: 500_000_101, ack: 700_000_901 })
    rig.client({ seq: 101, ack: 901, data: 'ask' })
    rig.client({ seq: 500_000_101, ack: 700_000_901, data: 'ask' })
    rig.server({ seq: 700_000_901, ack: 500_000_104, data: 'tell' })
    rig.server({ seq: 901, ack: 104, data: 'tell' })
    rig.closeAll()
    expect(rig.streams.map((stream) => [stream.text(0), stream.text(1)])).toEqual([['ask', 'tell']])
  })

  test('begun by SYN and SYN+ACK, its answers wait for what they acknowledge of the client', () => {
    const rig = new Rig({}, { waitsForPeer: 1 })
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'old' })
    rig.server({ seq: 901, ack: 104, data: 'o' })
    rig.client({ flags: SYN, seq: 2_000_000_100 })
    rig.server({ flags: SYN | ACK, seq: 1_000_000_900, ack: 2_000_000_101 })
    rig.server({ seq: 1_000_000_901, ack: 2_000_000_104, data: 'answer' })
    rig.client({ seq: 2_000_000_101, ack: 1_000_000_901, data: 'new' })
    rig.closeAll()
    expect(rig.streams[1]!.log.slice(0, 2)).toEqual(['0 new', '1 answer'])
  })

  test('a second copy of a connection that ended long ago is none; other numbers of either side are', () => {
    for (const [client, server, isNew] of [
      [100, 900, false],
      [100, 950, true],
      [150, 900, true],
    ] as const) {
      const rig = opened()
      rig.client({ seq: 101, ack: 901, data: 'abc' })
      rig.client({ seq: 104, ack: 901, flags: FIN | ACK })
      rig.server({ seq: 901, ack: 105, flags: FIN | ACK })
      rig.pass(30 * SECOND)
      rig.handshake(client, server)
      rig.client({ seq: client + 1, ack: server + 1, data: 'abc' })
      rig.closeAll()
      expect(rig.streams).toHaveLength(isNew ? 2 : 1)
      expect(rig.get('flowsRepeated')).toBe(isNew ? 0 : 1)
    }
  })
})

describe('what both sides show decides', () => {
  test('before the handshake ends only what acknowledges the SYN+ACK and nothing else is taken', () => {
    for (const ack of [900, 902]) {
      const rig = new Rig()
      rig.client({ flags: SYN, seq: 100 })
      rig.server({ flags: SYN | ACK, seq: 900, ack: 101 })
      rig.client({ seq: 101, ack, data: 'evil' })
      rig.client({ seq: 101, ack: 901 })
      rig.client({ seq: 101, ack: 901, data: 'good' })
      rig.server({ seq: 901, ack: 105 })
      expect(delivered(rig)).toBe('good')
    }
  })

  test('of two doubtful copies the one that is proven makes the bytes of the other unknown', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 2000, data: 'evil' })
    rig.client({ seq: 101, ack: 3000, data: 'good' })
    rig.server({ seq: 3000, ack: 105 })
    rig.client({ seq: 105, ack: 3000, data: 'more' })
    expect(delivered(rig)).not.toMatch(/evil|good/)
  })

  test('a copy that was acknowledged before another came may be the true one, old as its acknowledgement is', () => {
    const rig = opened()
    rig.server({ seq: 901, ack: 101, data: 'x'.repeat(100) })
    rig.client({ seq: 101, ack: 1001, data: 'a' })
    rig.client({ seq: 102, ack: 1001 - (1 << 29), data: 'evil!!' })
    rig.server({ seq: 1001, ack: 108 })
    rig.client({ seq: 102, ack: 1001, data: 'good' })
    rig.client({ seq: 106, ack: 1001, data: 'more' })
    expect(delivered(rig)).toBe('a<4><2>re')
  })

  test('a FIN that comes in order ends the stream, whatever another one claimed', () => {
    const rig = opened()
    rig.client({ seq: 200, ack: 901, flags: FIN | ACK, data: 'z' })
    rig.client({ seq: 101, ack: 901, flags: FIN | ACK, data: 'abc' })
    rig.client({ seq: 104, ack: 901, data: 'evil' })
    expect(delivered(rig)).toBe('abc')
  })

  test('data after the end of both streams is of another connection only where that is answered', () => {
    for (const isAnswered of [true, false]) {
      const rig = opened()
      rig.client({ seq: 101, ack: 901, data: 'abc' })
      rig.client({ seq: 104, ack: 901, flags: FIN | ACK })
      rig.server({ seq: 901, ack: 105, flags: FIN | ACK })
      rig.client({ seq: 200, ack: 902, data: 'more' })
      if (isAnswered) rig.server({ seq: 902, ack: 204 })
      else rig.server({ seq: 902, flags: RST })
      rig.closeAll()
      expect(rig.streams).toHaveLength(isAnswered ? 2 : 1)
    }
  })

  test('a SYN that comes twice after a reset begins nothing where the server had answered it', () => {
    const rig = opened()
    rig.client({ seq: 101, flags: RST })
    rig.client({ seq: 100, flags: SYN })
    rig.client({ seq: 101, ack: 901, data: 'evil' })
    rig.closeAll()
    expect(rig.streams).toHaveLength(0)
  })

  test('a new connection with the client’s old number begins where the server’s is another', () => {
    const rig = opened()
    rig.client({ seq: 101, ack: 901, data: 'old' })
    rig.server({ seq: 901, ack: 104, data: 'answer' })
    rig.handshake(100, 5_000_000)
    rig.client({ seq: 101, ack: 5_000_001, data: 'new' })
    rig.closeAll()
    expect(rig.streams.map((s) => s.text(0))).toEqual(['old', 'new'])
  })
})

describe('multipath TCP (RFC 8684)', () => {
  const key = Buffer.alloc(8, 3)
  const capable = Buffer.concat([Buffer.from([30, 12, 1, 0x81]), key])
  /** Section 3.1: in front of the first byte. */
  const idsn = createHash('sha256').update(key).digest().readInt32BE(28)
  const dss = (dsn: number, subflowSeq: number, length: number) =>
    Buffer.concat([Buffer.from([30, 16, 0x20, 4]), int32(dsn), int32(subflowSeq), Buffer.from([0, length, 1, 1])])
  const multipath = () => {
    const rig = new Rig()
    rig.client({ flags: SYN, seq: 100, options: capable })
    rig.server({ flags: SYN | ACK, seq: 900, ack: 101, options: capable })
    rig.client({ seq: 101, ack: 901 })
    return rig
  }

  test('with one subflow is read as any connection', () => {
    const rig = multipath()
    rig.client({ seq: 101, ack: 901, data: 'abc', options: dss(seqAdd(idsn, 1), 1, 3) })
    rig.client({ seq: 104, ack: 901, data: 'def', options: dss(seqAdd(idsn, 4), 4, 3) })
    expect(delivered(rig)).toBe('abcdef')
    expect(rig.get('flowsMultipath')).toBe(0)
  })

  test('is not read on where the mapping jumps', () => {
    const rig = multipath()
    rig.client({ seq: 101, ack: 901, data: 'abc', options: dss(seqAdd(idsn, 1), 1, 3) })
    rig.client({ seq: 104, ack: 901, data: 'def', options: dss(seqAdd(idsn, 1004), 4, 3) })
    rig.client({ seq: 107, ack: 901, data: 'ghi' })
    expect(rig.stream.log).toEqual(['0 abc', '0 end unreadable', '1 end unreadable', 'close unreadable'])
    expect(rig.get('flowsMultipath')).toBe(1)
    rig.closeAll()
  })

  test('the first mapping continues with the key, too', () => {
    const rig = multipath()
    rig.client({ seq: 101, ack: 901, data: 'abc', options: dss(seqAdd(idsn, 4), 1, 3) })
    rig.closeAll()
    expect(rig.streams).toHaveLength(0)
    expect(rig.get('flowsMultipath')).toBe(1)
  })

  test('a joined subflow is not read at all', () => {
    const rig = new Rig()
    rig.client({ flags: SYN, seq: 100, options: Buffer.concat([Buffer.from([30, 12, 0x10, 1]), Buffer.alloc(8, 9)]) })
    rig.server({ flags: SYN | ACK, seq: 900, ack: 101 })
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.closeAll()
    expect(rig.streams).toHaveLength(0)
    expect(rig.get('flowsMultipath')).toBe(1)
  })
})
