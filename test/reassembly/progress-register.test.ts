import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NO_ENTRY, PROGRESS_REGISTER_BYTES, ProgressRegister } from '../../src/flow/progress-register.ts'
import { ACK, FIN, Rig, SYN } from './rig.ts'

describe('the register', () => {
  test('gives a restarted worker what the previous one left, once, and nobody what is in use', () => {
    const memory = new SharedArrayBuffer(PROGRESS_REGISTER_BYTES)
    const first = new ProgressRegister(memory)
    const entry = first.take(77, 5, 0)
    first.setNextSeq(entry, 1, -9)
    const isFresh = (register: ProgressRegister, taken: number) => taken !== entry && !register.hasAnySeq(taken)
    const second = new ProgressRegister(memory)
    expect(isFresh(second, second.take(77, 6, 0))).toBe(true)
    expect(second.take(77, 5, 0)).toBe(entry)
    // It may have been anywhere in a message.
    expect([second.takeMidMessage(entry), second.takeMidMessage(entry)]).toEqual([true, false])
    expect([second.hasSeq(entry, 0), second.hasSeq(entry, 1), second.nextSeq(entry, 1)]).toEqual([false, true, -9])
    expect(isFresh(second, second.take(77, 5, 0))).toBe(true)
    second.remove(entry)
    const third = new ProgressRegister(memory)
    expect(third.hasAnySeq(third.take(77, 5, 0))).toBe(false)
  })

  test('gives what was left to other flows only where nothing else is free, and nothing where all is in use', () => {
    const memory = new SharedArrayBuffer(PROGRESS_REGISTER_BYTES)
    const first = new ProgressRegister(memory)
    const left = [1, 2, 3].map((ports) => first.take(0, ports, 0))
    for (const entry of left) first.setNextSeq(entry, 0, 7)
    const second = new ProgressRegister(memory)
    const others = [11, 12, 13, 14, 15].map((ports) => second.take(0, ports, 0))
    expect(others.some((entry) => left.includes(entry))).toBe(false)
    expect([1, 2, 3, 21].map((ports) => second.take(0, ports, 0))).toEqual([...left, NO_ENTRY])
    expect(left.every((entry) => second.hasAnySeq(entry))).toBe(true)
    const third = new ProgressRegister(memory)
    const taken = [31, 32, 33, 34, 35, 36, 37, 38, 39].map((ports) => third.take(0, ports, 0))
    expect(new Set(taken).size).toBe(9)
    expect(taken.at(-1)).toBe(NO_ENTRY)
    expect(taken.slice(0, 8).some((entry) => third.hasAnySeq(entry))).toBe(false)
  })

  test('gives a flow that gave way its own numbers back for ten seconds, and its entry to others only later, where nothing else is free', () => {
    const register = new ProgressRegister()
    const entry = register.take(77, 5, 100)
    register.setNextSeq(entry, 0, 3)
    register.leave(entry, 100, false)
    expect([register.take(77, 5, 110), register.nextSeq(entry, 0)]).toEqual([entry, 3])
    register.leave(entry, 110, false)
    expect([register.take(77, 5, 121), register.hasAnySeq(entry)]).toEqual([entry, false])
    register.setNextSeq(entry, 0, 4)
    register.leave(entry, 121, false)
    const others = Array.from({ length: 8 }, (_, i) => register.take(77, 50 + i, 131))
    expect([others.includes(entry), others[7]]).toEqual([false, NO_ENTRY])
    expect([register.take(77, 5, 131), register.nextSeq(entry, 0)]).toEqual([entry, 4])
    register.leave(entry, 131, false)
    expect(register.take(77, 60, 142)).toBe(entry)
  })

  test('never gives one entry to two flows, whatever their hashes, and stays within its memory', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer(), fc.constantFrom(0, -1, 0xffff, 0xfff8)), { maxLength: 60 }),
        (hashes) => {
          const register = new ProgressRegister()
          const entries = hashes.map((hash, i) => register.take(hash | 0, i, 0)).filter((entry) => entry !== NO_ENTRY)
          expect(new Set(entries).size).toBe(entries.length)
          for (const entry of entries) expect(entry * 4 + 32).toBeLessThanOrEqual(PROGRESS_REGISTER_BYTES)
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('a shard that takes over from one that died', () => {
  const pair = () => {
    const memory = new SharedArrayBuffer(PROGRESS_REGISTER_BYTES)
    return {
      died: new Rig({}, {}, new ProgressRegister(memory)),
      next: () => new Rig({}, {}, new ProgressRegister(memory)),
    }
  }
  const ports = [
    { sourcePort: 40_000, destinationPort: 80 },
    { sourcePort: 80, destinationPort: 40_000 },
    { sourcePort: 80, destinationPort: 80 },
  ]

  test('delivers no byte again, whichever side is seen first', () => {
    for (const own of ports) {
      for (const serverFirst of [true, false]) {
        const { died, next } = pair()
        died.handshake(100, 900, own)
        died.client({ ...own, seq: 101, ack: 901, data: 'abc' })
        died.server({ ...own, seq: 901, ack: 104, data: 'xy' })
        const rig = next()
        const server = () => rig.server({ ...own, seq: 901, ack: 104, data: 'xyz' })
        if (serverFirst) server()
        rig.client({ ...own, seq: 101, ack: 903, data: 'abcdef' })
        if (!serverFirst) server()
        const client = serverFirst ? 1 : 0
        expect([rig.stream.text(client), rig.stream.text(client ^ 1)]).toEqual(['def', 'z'])
        rig.closeAll()
      }
    }
  })

  test('is not misled by a SYN of the old connection, and sees a new one', () => {
    const { died, next } = pair()
    died.handshake(100, 900)
    died.client({ seq: 101, ack: 901, data: 'abc' })
    const rig = next()
    rig.client({ flags: SYN, seq: 100 })
    rig.client({ seq: 101, ack: 901, data: 'abcdef' })
    expect(rig.stream.text(0)).toBe('def')
    rig.handshake(500_000_000, 7)
    rig.client({ seq: 500_000_001, ack: 8, data: 'new' })
    expect(rig.streams.at(-1)!.text(0)).toBe('new')
    rig.closeAll()
  })

  test('takes the SYN of a side of which nothing was known for what it is, whatever its number', () => {
    const { died, next } = pair()
    died.server({ seq: 901, ack: -99, data: 'xy' })
    const rig = next()
    rig.client({ flags: SYN, seq: -100 })
    rig.client({ seq: -99, ack: 903, data: 'abc' })
    rig.closeAll()
    expect(rig.stream.text(0)).toBe('abc')
  })

  test('knows nothing of connections that were gone', () => {
    const { died, next } = pair()
    died.handshake(100, 900)
    died.client({ seq: 101, ack: 901, data: 'abc', flags: FIN | ACK })
    died.closeAll()
    const rig = next()
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    expect(rig.stream.text(0)).toBe('abc')
    rig.closeAll()
  })

  test('takes a new connection on the five-tuple whole, in both directions, though the old one’s numbers are remembered', () => {
    const { died, next } = pair()
    died.handshake(100, 900)
    died.client({ seq: 101, ack: 901, data: 'abc' })
    const second = next()
    second.handshake(500_000_000, 600_000_000)
    second.client({ seq: 500_000_001, ack: 600_000_001, data: 'new' })
    const third = next()
    third.client({ seq: 500_000_001, ack: 600_000_001, data: 'new and more' })
    third.server({ seq: 600_000_001, ack: 500_000_013, data: 'answer' })
    expect([third.stream.text(0), third.stream.text(1)]).toEqual([' and more', 'answer'])
    third.closeAll()
  })

  test('does not take a SYN+ACK for the beginning of a client’s stream that the previous worker had read from', () => {
    const { died, next } = pair()
    died.client({ seq: 101, ack: 901, data: 'abc' })
    const rig = next()
    rig.server({ seq: 900, ack: 101, flags: SYN | ACK })
    rig.client({ seq: 104, ack: 901, data: 'def' })
    expect([rig.stream.clientDirection, rig.stream.isMidMessage, rig.stream.text(1)]).toEqual([-1, true, 'def'])
    rig.closeAll()
  })
})
