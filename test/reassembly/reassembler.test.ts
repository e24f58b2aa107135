import { describe, expect, test } from 'vitest'
import { PacketDrop } from '../../src/base/drop.ts'
import { PACKET_DROPS } from '../../src/metrics/counters.ts'
import { ACK, FIN, Rig, RST, SEGMENT_OVERHEAD, SYN } from './rig.ts'

const MS = 1000
const SECOND = 1_000_000

describe('a connection from its SYN', () => {
  test('is delivered in order, ends with its FINs, and is closed once', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'ask' })
    rig.server({ seq: 901, ack: 104, data: 'answer' })
    rig.client({ seq: 104, ack: 907, flags: FIN | ACK })
    rig.server({ seq: 907, ack: 105, flags: FIN | ACK })
    rig.client({ seq: 105, ack: 908 })
    expect(rig.streams).toHaveLength(1)
    expect(rig.stream.clientDirection).toBe(0)
    expect(rig.stream.log).toEqual(['0 ask', '1 answer', '0 end fin', '1 end fin', 'close fin'])
    expect(rig.reassembler.open).toBe(0)
    rig.closeAll()
  })

  test('knows its client also when the SYN-ACK comes before the SYN, and when only one of them comes', () => {
    for (const order of ['SA S', 'SA', 'S']) {
      const rig = new Rig()
      for (const which of order.split(' ')) {
        if (which === 'S') rig.client({ flags: SYN, seq: 100 })
        else rig.server({ flags: SYN | ACK, seq: 900, ack: 101 })
      }
      rig.client({ seq: 101, ack: 901, data: 'ask' })
      rig.server({ seq: 901, ack: 104, data: 'answer' })
      const { clientDirection } = rig.stream
      expect(clientDirection).toBe(order.startsWith('SA') ? 1 : 0)
      expect([rig.stream.text(clientDirection), rig.stream.text(clientDirection ^ 1)]).toEqual(['ask', 'answer'])
      rig.closeAll()
    }
  })

  test('delivers data that came with the SYN', () => {
    const rig = new Rig()
    rig.client({ flags: SYN, seq: 100, data: 'early' })
    rig.server({ flags: SYN | ACK, seq: 900, ack: 106 })
    rig.client({ seq: 106, ack: 901, data: ' more' })
    expect(rig.stream.text(0)).toBe('early more')
    rig.closeAll()
  })

  test('takes the later number of a SYN-ACK that is sent again with another one, while nothing was delivered on the old', () => {
    const rig = new Rig()
    rig.client({ flags: SYN, seq: 100 })
    rig.server({ flags: SYN | ACK, seq: 900, ack: 101 })
    rig.server({ flags: SYN | ACK, seq: 7_000_000, ack: 101 })
    rig.client({ seq: 101, ack: 7_000_001, data: 'ask' })
    rig.server({ seq: 7_000_001, ack: 104, data: 'answer' })
    expect(rig.stream.log).toEqual(['0 ask', '1 answer'])
    expect(rig.get('flowsOpened')).toBe(1)
    rig.closeAll()
    expect(rig.get('gaps')).toBe(0)
  })

  test('keeps the number it delivered on', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.server({ seq: 901, ack: 101, data: 'banner' })
    rig.server({ flags: SYN | ACK, seq: 7_000_000, ack: 101 })
    rig.server({ seq: 907, ack: 101, data: ' more' })
    expect(rig.stream.text(1)).toBe('banner more')
    rig.closeAll()
  })

  test('opens one flow for any number of SYNs sent again', () => {
    const rig = new Rig()
    for (let i = 0; i < 5; i++) rig.client({ flags: SYN, seq: 100 })
    expect(rig.get('flowsOpened')).toBe(1)
    rig.closeAll()
    expect(rig.streams).toHaveLength(0)
  })
})

describe('a connection seen from its middle', () => {
  test('begins at its first data; who is the client is not known', () => {
    const rig = new Rig()
    rig.client({ seq: 5000, ack: 70, data: 'abc' })
    rig.server({ seq: 70, ack: 5003, data: 'xyz' })
    expect(rig.stream.clientDirection).toBe(-1)
    expect(rig.stream.log).toEqual(['0 abc', '1 xyz'])
    rig.closeAll()
  })

  test('is not begun by a late acknowledgement, FIN or reset: nothing would follow', () => {
    const rig = new Rig()
    rig.client({ seq: 5000, ack: 70 })
    rig.client({ seq: 5000, ack: 70, flags: FIN | ACK })
    rig.client({ seq: 5000, flags: RST })
    expect([rig.get('flowsOpened'), rig.get('packetsProcessed')]).toEqual([0, 3])
  })

  test('a SYN that comes late, when its data was delivered, changes nothing', () => {
    const rig = new Rig()
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.client({ flags: SYN, seq: 100 })
    rig.client({ seq: 104, ack: 901, data: 'def' })
    rig.client({ flags: SYN, seq: 90 })
    expect(rig.stream.text(0)).toBe('abcdef')
    expect(rig.get('flowsOpened')).toBe(1)
    rig.closeAll()
  })

  test('a SYN and data that come after the FIN change nothing: the end was told', () => {
    const rig = new Rig()
    rig.server({ seq: 901, ack: 105, data: 'answer' })
    rig.client({ seq: 104, ack: 901, flags: FIN | ACK })
    rig.client({ flags: SYN, seq: 100 })
    rig.client({ seq: 101, ack: 901, data: 'ask' })
    expect(rig.stream.log).toEqual(['0 answer', '1 end fin'])
    rig.closeAll()
  })

  test('a SYN with a number after the data is a new connection: a SYN stands before its data', () => {
    const rig = new Rig()
    rig.client({ seq: 101, ack: 901, data: 'old' })
    rig.client({ flags: SYN, seq: 60_000 })
    rig.client({ seq: 60_001, ack: 901, data: 'new' })
    expect(rig.streams.map((s) => s.text(0))).toEqual(['old', 'new'])
    rig.closeAll()
  })

  test('one direction only: a pending gap is waited for while the window lasts, then it is a gap', () => {
    const rig = new Rig()
    rig.client({ seq: 100, data: 'abc' })
    rig.client({ seq: 108, data: 'ghi' })
    rig.tick(999 * MS)
    expect(rig.stream.text(0)).toBe('abc')
    rig.tick(1 * MS)
    expect(rig.stream.text(0)).toBe('abc<5>ghi')
    rig.closeAll()
  })

  test('an acknowledgement seen before the direction itself, and far from it, proves no pending gap', () => {
    const rig = new Rig()
    rig.server({ seq: 70, ack: 0x40000000, data: 'x' })
    rig.client({ seq: 5000, ack: 71, data: 'abc' })
    rig.tick(5 * SECOND)
    rig.client({ seq: 5003, ack: 71, data: 'def' })
    expect(rig.stream.text(1)).toBe('abcdef')
    expect(rig.get('gaps')).toBe(0)
    rig.closeAll()
  })
})

describe('the same five-tuple again', () => {
  test('a new SYN begins a new connection; what was left of the old one is let go', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'old' })
    rig.client({ seq: 110, ack: 901, data: 'held' })
    rig.handshake(500_000, 600_000)
    rig.client({ seq: 500_001, ack: 600_001, data: 'new' })
    expect(rig.streams.map((s) => s.text(0))).toEqual(['old<6>held', 'new'])
    expect(rig.streams[0]!.log.at(-1)).toBe('close replaced')
    expect([rig.get('flowsOpened'), rig.reassembler.open]).toEqual([2, 1])
    rig.closeAll()
  })

  test('after an orderly end, with or without SYN', () => {
    for (const hasSyn of [true, false]) {
      const rig = new Rig()
      rig.handshake(100, 900)
      rig.client({ seq: 101, ack: 901, data: 'old', flags: FIN | ACK })
      rig.server({ seq: 901, ack: 105, flags: FIN | ACK })
      rig.client({ seq: 105, ack: 902 })
      if (hasSyn) rig.handshake(300_000, 400_000)
      rig.client({ seq: 300_001, ack: 400_001, data: 'new' })
      // Without SYN the answer shows that there is one.
      expect(rig.streams).toHaveLength(hasSyn ? 2 : 1)
      rig.server({ seq: 400_001, ack: 300_004, data: 'answer' })
      expect(rig.streams.map((s) => s.text(0))).toEqual(['old', 'new'])
      rig.closeAll()
    }
  })

  test('late repetitions of a connection that ended open none', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'old', flags: FIN | ACK })
    rig.server({ seq: 901, ack: 105, flags: FIN | ACK })
    rig.client({ seq: 101, ack: 901, data: 'old', flags: FIN | ACK })
    rig.client({ flags: SYN, seq: 100 })
    rig.server({ seq: 901, ack: 105, flags: FIN | ACK })
    expect([rig.get('flowsOpened'), rig.streams.length, rig.reassembler.open]).toEqual([1, 1, 0])
    rig.closeAll()
  })

  test('data that continues after a reset is a connection again where the receiver continues acknowledging', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'old' })
    rig.client({ seq: 104, flags: RST })
    rig.client({ seq: 104, ack: 901, data: 'ignored' })
    expect(rig.streams.map((s) => s.text(0))).toEqual(['old'])
    rig.server({ seq: 901, ack: 111 })
    rig.client({ seq: 111, ack: 901, data: 'new' })
    expect(rig.streams.map((s) => s.text(0))).toEqual(['old', 'new'])
    rig.closeAll()
  })

  test('three packets in a row out of any window are a connection whose SYN was lost; fewer are strays that change nothing', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    for (const seq of [0x30000000, -0x30000000]) rig.client({ seq, ack: 0x5000_0000, data: 'stray' })
    rig.client({ seq: 104, ack: 901, data: 'def' })
    expect(rig.stream.text(0)).toBe('abcdef')
    for (let i = 0; i < 4; i++) rig.client({ seq: 0x30000000 + 3 * i, ack: 77, data: `<${i}>` })
    expect(rig.streams).toHaveLength(1)
    rig.server({ seq: 77, ack: 0x3000000c })
    expect(rig.streams.map((s) => s.text(0))).toEqual(['abcdef', '<2><3>'])
    rig.closeAll()
  })

  test('what an out-of-window packet acknowledges, ends or resets is not believed', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.server({ seq: 901, ack: 101, data: 'abc' })
    // An acknowledgement 5,000 bytes ahead, from a sequence number that is none of this connection's.
    rig.client({ seq: 0x30000000, ack: 5904, data: 'stray' })
    rig.client({ seq: -0x30000000, ack: 5904, flags: FIN | ACK })
    rig.client({ seq: 101, ack: 904 })
    rig.client({ seq: 0x30000000, flags: RST })
    rig.tick(5 * SECOND)
    rig.server({ seq: 904, ack: 101, data: 'def' })
    expect(rig.stream.log).toEqual(['1 abc', '1 def'])
    expect(rig.get('gaps')).toBe(0)
    rig.closeAll()
  })

  test('the late FIN of an older connection ends nothing', () => {
    const rig = new Rig()
    rig.handshake(100_000, 900)
    rig.client({ seq: 100_001, ack: 901, data: 'abc' })
    rig.client({ seq: 60_000, ack: 901, flags: FIN | ACK })
    rig.client({ seq: 100_004, ack: 901, data: 'def' })
    expect(rig.stream.log).toEqual(['0 abc', '0 def'])
    rig.closeAll()
  })
})

describe('segments', () => {
  test('out of order wait for what comes before them', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 107, ack: 901, data: 'ghi' })
    rig.client({ seq: 104, ack: 901, data: 'def' })
    expect(rig.streams).toHaveLength(0)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    expect(rig.stream.text(0)).toBe('abcdefghi')
    expect(rig.get('segmentsOutOfOrder')).toBe(2)
    rig.closeAll()
  })

  test('that repeat what was delivered bring only what is new; delivered bytes win', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abcdef' })
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.client({ seq: 104, ack: 901, data: 'XXXghi' })
    expect(rig.stream.text(0)).toBe('abcdefghi')
    expect(rig.get('segmentsDuplicate')).toBe(1)
    rig.closeAll()
  })

  test('garbage in keep-alive probes is no data, before and after the FIN', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.client({ seq: 103, ack: 901, data: '!' })
    rig.client({ seq: 103, ack: 901 })
    rig.client({ seq: 104, ack: 901, flags: FIN | ACK })
    rig.client({ seq: 104, ack: 901, data: '!' })
    rig.client({ seq: 105, ack: 901, data: 'behind the end' })
    expect(rig.stream.log).toEqual(['0 abc', '0 end fin'])
    rig.closeAll()
  })

  test('a probe of a closed window is the next byte, and its repetition is not', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.client({ seq: 104, ack: 901, data: 'd' })
    rig.client({ seq: 104, ack: 901, data: 'def' })
    expect(rig.stream.text(0)).toBe('abcdef')
    rig.closeAll()
  })

  test('that begin where the other side has acknowledged to say so: evidence of a boundary', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.client({ seq: 104, ack: 901, data: 'def' })
    rig.server({ seq: 901, ack: 107 })
    rig.client({ seq: 107, ack: 901, data: 'ghi' })
    expect(rig.stream.pieces.map((p) => [p.startsSegment, p.isAckedTo])).toEqual([
      [true, true],
      [true, false],
      [true, true],
    ])
    rig.closeAll()
  })
})

describe('overlaps under each policy', () => {
  const run = (overlap: 'linux' | 'first' | 'last') => {
    const rig = new Rig({ overlap })
    rig.handshake(100, 900)
    rig.client({ seq: 104, ack: 901, data: 'old' })
    rig.client({ seq: 104, ack: 901, data: 'new' })
    // In order, and reaches into what is stored.
    rig.client({ seq: 101, ack: 901, data: 'abcN' })
    rig.closeAll()
    expect(rig.get('overlapsDiffering')).toBeGreaterThan(0)
    return rig.stream.text(0)
  }
  test('first: what was captured first', () => expect(run('first')).toBe('abcold'))
  test('last: what was captured last', () => expect(run('last')).toBe('abcNew'))
  test('linux: equal loses, what starts earlier wins', () => expect(run('linux')).toBe('abcNld'))
})

describe('a pending gap', () => {
  test('whose bytes were acknowledged becomes a gap when the window in packets is over', () => {
    const rig = new Rig({ reorderWindowPackets: 5 })
    rig.handshake(100, 900)
    rig.client({ seq: 111, ack: 901, data: 'later' })
    for (let i = 0; i < 5; i++) {
      expect(rig.get('gaps')).toBe(0)
      rig.server({ seq: 901, ack: 116 })
    }
    expect(rig.stream.log).toEqual(['0 gap 10', '0 later'])
    rig.closeAll()
  })

  test('whose bytes were not acknowledged is waited for: the sender will send them again', () => {
    const rig = new Rig({ reorderWindowPackets: 5 })
    rig.handshake(100, 900)
    rig.client({ seq: 111, ack: 901, data: 'later' })
    for (let i = 0; i < 50; i++) rig.server({ seq: 901, ack: 101 })
    rig.tick(30 * SECOND)
    expect(rig.get('gaps')).toBe(0)
    rig.client({ seq: 101, ack: 901, data: '0123456789' })
    expect(rig.stream.text(0)).toBe('0123456789later')
    rig.closeAll()
  })

  test('with nothing after it is a gap too, once acknowledged', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.server({ seq: 901, ack: 151 })
    rig.tick(1 * SECOND)
    expect(rig.stream.log).toEqual(['0 gap 50'])
    rig.client({ seq: 151, ack: 901, data: 'on' })
    expect(rig.stream.text(0)).toBe('<50>on')
    rig.closeAll()
  })

  test('that is filled leaves the next pending gap a window of its own: steady reordering loses nothing', () => {
    const rig = new Rig({ reorderWindowMs: 1000 })
    rig.handshake(100, 900)
    // Always two segments missing, each filled 300 ms after it was passed over; the server has long acknowledged them.
    const at = (i: number) => 101 + 4 * i
    const send = (i: number) => rig.client({ seq: at(i), ack: 901, data: `${String(i).padStart(3, '0')}.` })
    send(1)
    for (let i = 0; i < 60; i++) {
      send(2 * i + 3)
      rig.server({ seq: 901, ack: at(2 * i + 4) })
      rig.tick(100 * MS)
      rig.tick(100 * MS)
      send(2 * i)
    }
    expect(rig.get('gaps')).toBe(0)
    const text = rig.stream.text(0)
    expect(text.length).toBeGreaterThan(100 * 4)
    for (let i = 0; 4 * i < text.length; i++) expect(text.slice(4 * i, 4 * i + 3)).toBe(String(i).padStart(3, '0'))
    rig.closeAll()
  })

  test('before a FIN is a gap when the window is over, and the end comes after it', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 121, ack: 901, flags: FIN | ACK })
    rig.tick(999 * MS)
    expect(rig.streams).toHaveLength(0)
    rig.tick(1 * MS)
    expect(rig.stream.log).toEqual(['0 gap 20', '0 end fin'])
    rig.closeAll()
  })

  test('an acknowledgement that went stale long ago does not come back as a pending gap when numbers wrap around it', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'x' })
    rig.server({ seq: 901, ack: 102 })
    // Two gigabytes in a direction whose acknowledgements are not seen: cut to nothing, so each leaves a known hole.
    const { table } = rig.reassembler
    table.nextSeq[0] = (102 + 0x80000010) | 0
    rig.client({ seq: table.nextSeq[0]!, ack: 901, data: 'abc' })
    rig.tick(5 * SECOND)
    rig.client({ seq: table.nextSeq[0]!, ack: 901, data: 'def' })
    expect(rig.get('gaps')).toBe(0)
    expect(rig.stream.text(0)).toBe('xabcdef')
    // And acknowledgements that come again are heard.
    rig.server({ seq: 901, ack: table.nextSeq[0]! + 10 })
    rig.tick(5 * SECOND)
    expect(rig.stream.text(0)).toBe('xabcdef<10>')
    rig.closeAll()
  })
})

describe('truncated segments', () => {
  test('leave a pending gap with the reason truncated, and the stream continues after it', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abcdef', missing: 4 })
    rig.client({ seq: 107, ack: 901, data: 'ghi' })
    rig.server({ seq: 901, ack: 110 })
    rig.tick(1 * SECOND)
    expect(rig.stream.log).toEqual(['0 ab', '0 cut 4', '0 ghi'])
    rig.closeAll()
  })

  test('are completed by a whole copy', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abcdef', missing: 4 })
    rig.client({ seq: 107, ack: 901, data: 'ghi', missing: 3 })
    rig.client({ seq: 101, ack: 901, data: 'abcdef' })
    rig.client({ seq: 107, ack: 901, data: 'ghi' })
    expect(rig.stream.text(0)).toBe('abcdefghi')
    rig.closeAll()
    expect(rig.get('gaps')).toBe(0)
  })
})

describe('ends', () => {
  test('a FIN that comes before its data ends the direction after it', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 104, ack: 901, data: 'def', flags: FIN | ACK })
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    expect(rig.stream.log).toEqual(['0 abc', '0 def', '0 end fin'])
    rig.closeAll()
  })

  test('a FIN at the beginning of data that waits for a parser is stale: its receiver has read that data', () => {
    const rig = new Rig({}, { takes: (_, length) => (isPaused ? 0 : length) })
    let isPaused = true
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.client({ seq: 101, ack: 901, flags: FIN | ACK })
    isPaused = false
    rig.stream.resume()
    rig.tick()
    expect(rig.stream.log).toEqual(['0 abc'])
    expect(rig.get('outOfOrderBytes')).toBe(0)
    rig.closeAll()
  })

  test('half-closed: the other direction continues', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'ask', flags: FIN | ACK })
    for (let i = 0; i < 3; i++) rig.server({ seq: 901 + 2 * i, ack: 105, data: `${i};` })
    rig.server({ seq: 907, ack: 105, flags: FIN | ACK })
    expect(rig.stream.log).toEqual(['0 ask', '0 end fin', '1 0;', '1 1;', '1 2;', '1 end fin', 'close fin'])
    rig.closeAll()
  })

  test('a direction that ended before there was any data is told to whoever comes', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, flags: FIN | ACK })
    rig.server({ seq: 901, ack: 102, data: 'banner' })
    expect(rig.stream.log).toEqual(['0 end fin', '1 banner'])
    rig.closeAll()
  })

  test('the acknowledgement of a FIN that was not seen is no byte lost, when the FIN still comes', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.server({ seq: 901, ack: 105 })
    rig.client({ seq: 104, ack: 901, flags: FIN | ACK })
    expect(rig.stream.log).toEqual(['0 abc', '0 end fin'])
    expect(rig.get('gaps')).toBe(0)
    rig.closeAll()
  })

  test('nor when it comes too late: the direction ends all the same', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.server({ seq: 901, ack: 105 })
    rig.tick(5 * SECOND)
    rig.client({ seq: 104, ack: 901, flags: FIN | ACK })
    expect(rig.stream.log).toEqual(['0 abc', '0 gap 1', '0 end fin'])
    rig.closeAll()
  })

  test('a reset with pending gaps: what is there is delivered, what is not is a gap, at once', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 104, ack: 901, data: 'def' })
    rig.client({ seq: 110, ack: 901, data: 'jkl' })
    rig.server({ seq: 901, flags: RST })
    expect(rig.stream.log).toEqual([
      '0 gap 3',
      '0 def',
      '0 gap 3',
      '0 jkl',
      '0 end reset',
      '1 end reset',
      'close reset',
    ])
    expect(rig.get('outOfOrderBytes')).toBe(0)
    rig.closeAll()
  })

  test('a reset without a word before it, and with number 0, ends the handshake', () => {
    const rig = new Rig()
    rig.client({ flags: SYN, seq: 100 })
    rig.server({ flags: RST | ACK, seq: 0, ack: 101 })
    expect([rig.reassembler.open, rig.streams.length]).toEqual([0, 0])
    rig.closeAll()
  })

  test('the end of the input lets everything go, pending gaps as gaps', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 104, ack: 901, data: 'def' })
    rig.server({ seq: 901, ack: 107 + 5 })
    rig.closeAll()
    expect(rig.stream.log).toEqual(['0 gap 3', '0 def', '0 gap 5', '0 end input', '1 end input', 'close input'])
  })
})

describe('responses', () => {
  const temper = { waitsForPeer: 1 }
  test('wait for the questions they acknowledge', () => {
    const rig = new Rig({}, temper)
    rig.handshake(100, 900)
    rig.server({ seq: 901, ack: 104, data: 'answer' })
    expect(rig.streams).toHaveLength(0)
    rig.client({ seq: 101, ack: 901, data: 'ask' })
    expect(rig.stream.log).toEqual(['0 ask', '1 answer'])
    rig.closeAll()
  })

  test('come after the gap of a request that never came', () => {
    const rig = new Rig({}, temper)
    rig.handshake(100, 900)
    rig.server({ seq: 901, ack: 104, data: 'answer' })
    rig.client({ seq: 104, ack: 907 })
    rig.tick(1 * SECOND)
    expect(rig.stream.log).toEqual(['0 gap 3', '1 answer'])
    rig.closeAll()
  })

  test('do not wait where questions are not mirrored at all', () => {
    const rig = new Rig({}, temper)
    rig.server({ flags: SYN | ACK, seq: 900, ack: 101 })
    rig.server({ seq: 901, ack: 104, data: 'answer' })
    expect(rig.stream.text(0)).toBe('answer')
    rig.closeAll()
  })

  test('do not wait for the FIN they acknowledge', () => {
    const rig = new Rig({}, temper)
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'ask', flags: FIN | ACK })
    rig.server({ seq: 901, ack: 105, data: 'answer' })
    expect(rig.stream.log).toEqual(['0 ask', '0 end fin', '1 answer'])
    rig.closeAll()
  })
})

describe('a parser that waits', () => {
  const temper = { takes: (_direction: number, length: number) => Math.min(3, length) }
  test('gets the rest when it takes data again, in the same order, and nothing twice', () => {
    const rig = new Rig({}, temper)
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abcdef' })
    rig.client({ seq: 107, ack: 901, data: 'ghi' })
    expect(rig.stream.text(0)).toBe('abc')
    rig.stream.resume()
    rig.tick()
    expect(rig.stream.text(0)).toBe('abcdefghi')
    rig.closeAll()
  })

  test('is not waited for when its store is full', () => {
    const rig = new Rig({ outOfOrderBytes: 1000 }, temper)
    rig.handshake(100, 900)
    for (let i = 0; i < 30; i++) rig.client({ seq: 101 + 6 * i, ack: 901, data: `${String(i).padStart(4, '0')}..` })
    expect(rig.get('outOfOrderBytes')).toBeLessThanOrEqual(1000 + 6 + SEGMENT_OVERHEAD)
    rig.closeAll()
    const text = rig.stream.text(0)
    expect(text).toBe(Array.from({ length: 30 }, (_, i) => `${String(i).padStart(4, '0')}..`).join(''))
  })

  test('that has part of an in-order segment gets the rest once, also where copies of it are stored already', () => {
    const rig = new Rig({ outOfOrderBytes: 300 }, temper)
    rig.handshake(100, 900)
    rig.client({ seq: 104, ack: 901, data: 'defghi' })
    rig.client({ seq: 101, ack: 901, data: 'abcdefgh' })
    rig.client({ seq: 110, ack: 901, data: 'jkl' })
    rig.closeAll()
    expect(rig.stream.text(0)).toBe('abcdefghijkl')
    expect(rig.get('gaps')).toBe(0)
  })

  test('is ticked while it wants to be', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.tick(SECOND)
    expect(rig.stream.ticks).toBe(0)
    rig.stream.wakeAtUs = 0
    rig.client({ seq: 104, ack: 901, data: 'def' })
    rig.tick(SECOND)
    rig.tick(SECOND)
    expect(rig.stream.ticks).toBeGreaterThanOrEqual(2)
    rig.closeAll()
  })
})

describe('time and bounds', () => {
  test('a silent connection expires in packet time, and holds nothing then', () => {
    const rig = new Rig({ idleTimeoutMs: 10_000 })
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.client({ seq: 110, ack: 901, data: 'xyz' })
    rig.tick(9 * SECOND)
    expect(rig.reassembler.open).toBe(1)
    rig.tick(2 * SECOND)
    expect(rig.stream.log.slice(-4)).toEqual(['0 xyz', '0 end expired', '1 end expired', 'close expired'])
    expect([rig.reassembler.table.size, rig.get('outOfOrderBytes'), rig.get('flowsExpired')]).toEqual([0, 0, 1])
  })

  test('a packet that comes exactly at the time-out belongs to a new connection', () => {
    const rig = new Rig({ idleTimeoutMs: 10_000 })
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.pass(10 * SECOND)
    rig.client({ seq: 104, ack: 901, data: 'def' })
    expect(rig.streams.map((s) => s.text(0))).toEqual(['abc', 'def'])
    rig.checkWheel()
    rig.closeAll()
  })

  test('a finished connection stays for the closing time, so that late repetitions find it, and is not looked at meanwhile', () => {
    const rig = new Rig({ closingTimeoutMs: 3000 })
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, flags: FIN | ACK })
    rig.server({ seq: 901, ack: 102, flags: FIN | ACK })
    rig.client({ seq: 102, ack: 902 })
    rig.tick()
    expect(rig.watched.size).toBe(0)
    rig.tick(2 * SECOND)
    expect(rig.reassembler.table.size).toBe(1)
    rig.tick(3 * SECOND)
    expect(rig.reassembler.table.size).toBe(0)
    expect(rig.get('flowsExpired')).toBe(0)
  })

  test('flows beyond the limit are dropped, by packet and counted; those in the table continue', () => {
    const rig = new Rig({ maxFlows: 2 })
    for (const sourcePort of [1, 2, 3, 4]) rig.client({ sourcePort, seq: 100, data: 'x' })
    rig.client({ sourcePort: 1, seq: 101, data: 'y' })
    expect(rig.counters.get(PACKET_DROPS + PacketDrop.flowLimit)).toBe(2)
    expect(rig.streams.map((s) => s.text(0))).toEqual(['xy', 'x'])
    rig.closeAll()
  })

  test('the out-of-order bytes of a direction, overhead included, never exceed the bound by more than a segment', () => {
    const rig = new Rig({ outOfOrderBytes: 5000 })
    rig.handshake(100, 900)
    for (let i = 0; i < 200; i++) {
      rig.client({ seq: 201 + 200 * i, ack: 901, data: 'x'.repeat(100) })
      expect(rig.get('outOfOrderBytes')).toBeLessThanOrEqual(5000)
    }
    rig.closeAll()
    expect(rig.get('gaps')).toBe(200)
    expect(rig.get('gapBytes')).toBe(100 * 200)
    expect(rig.get('segmentBytes')).toBe(100 * 200)
  })

  test('those of the whole shard neither', () => {
    const rig = new Rig({ outOfOrderTotalBytes: 5000 })
    for (let i = 0; i < 200; i++) {
      const sourcePort = 1000 + (i % 37)
      if (i < 37) rig.handshake(100, 900, { sourcePort })
      rig.client({ sourcePort, seq: 201 + 200 * i, ack: 901, data: 'x'.repeat(100) })
      expect(rig.get('outOfOrderBytes')).toBeLessThanOrEqual(5000)
    }
    rig.closeAll()
  })

  test('a response that waits after a request full of pending gaps is let go at the bound', () => {
    const rig = new Rig({ outOfOrderBytes: 2000 }, { waitsForPeer: 1 })
    rig.handshake(100, 900)
    for (let i = 0; i < 9; i++) rig.client({ seq: 102 + 2 * i, ack: 901, data: 'q' })
    rig.client({ seq: 400, ack: 901 })
    for (let i = 0; i < 20; i++) {
      rig.server({ seq: 901 + 10 * i, ack: 400, data: '0123456789' })
      expect(rig.get('outOfOrderBytes')).toBeLessThanOrEqual(4000)
    }
    expect(rig.stream.text(0)).toBe(`${'<1>q'.repeat(9)}<281>`)
    rig.closeAll()
    expect(rig.stream.text(1)).toBe('0123456789'.repeat(20))
  })
})

describe('a reset', () => {
  test('carries no data of the stream, whatever stands in it (RFC 9293 section 3.5.3), and opens nothing', () => {
    const rig = new Rig()
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.client({ seq: 104, ack: 901, data: 'why', flags: RST | ACK })
    expect(rig.stream.text(0)).toBe('abc')
    rig.client({ sourcePort: 2, seq: 104, ack: 901, data: 'why', flags: RST | ACK })
    expect(rig.streams).toHaveLength(1)
    rig.closeAll()
  })
})

describe('when what is lost is given up', () => {
  const ACROSS = ['0 asked', '0 gap 4', '1 answer to what was lost', '0 next']
  const rigs = (isFull: boolean, isAnswerFirst: boolean) => {
    const rig = new Rig(isFull ? { outOfOrderBytes: 2 * SEGMENT_OVERHEAD } : {}, { waitsForPeer: 1 })
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'asked' })
    const answered = () => rig.server({ seq: 901, ack: 110, data: 'answer to what was lost' })
    if (isAnswerFirst) answered()
    rig.client({ seq: 110, ack: 924, data: 'next' })
    if (!isAnswerFirst) answered()
    if (isFull) for (let i = 0; i < 4; i++) rig.client({ seq: 120 + 2 * i, ack: 924, data: 'x' })
    return rig
  }

  test.each([true, false])('its response comes before what was asked next (answer first: %s)', (isAnswerFirst) => {
    for (const isFull of [true, false]) {
      const rig = rigs(isFull, isAnswerFirst)
      rig.closeAll()
      expect(rig.stream.log.slice(0, 4)).toEqual(ACROSS)
    }
  })

  test('the same where the server was seen first', () => {
    const rig = new Rig({}, { waitsForPeer: 0 })
    rig.server({ seq: 899, ack: 101, data: 'ab' })
    rig.client({ seq: 101, ack: 901, data: 'asked' })
    rig.server({ seq: 901, ack: 110, data: 'answer' })
    rig.client({ seq: 110, ack: 907, data: 'next' })
    rig.closeAll()
    expect(rig.stream.log.slice(0, 5)).toEqual(['0 ab', '1 asked', '1 gap 4', '0 answer', '1 next'])
  })
})
