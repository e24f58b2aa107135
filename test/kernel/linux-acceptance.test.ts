/** Rules of the model, one by one: `npm run test:kernel` holds all of them together against a kernel. */
import { beforeEach, describe, expect, test } from 'vitest'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { LinuxReceiver } from './linux-acceptance.ts'
import { Option, option, readSegment, type SegmentFields, segment, timestamps } from './segment.ts'

const CLIENT = { address: '10.0.0.1', port: 40_000 }
const SERVER = { address: '10.0.0.2', port: 80 }
const { syn, ack, fin, rst, psh, urg } = TcpFlag
const ISS = 1000
const IRS = 500_000
const WINDOW = 10_000

let receiver: LinuxReceiver
let clock: number

function comes(f: SegmentFields): string {
  const options = f.options ?? timestamps(clock++, 7000)
  const packet = segment(CLIENT, SERVER, { seq: ISS + 1, ack: IRS + 1, flags: ack | psh, ...f, options })
  return receiver.segment(readSegment(packet)!)
}

function goes(f: SegmentFields): void {
  receiver.sent(readSegment(segment(SERVER, CLIENT, { seq: IRS + 1, window: WINDOW, flags: ack, ...f }))!)
}

function read(): string {
  return Buffer.concat([...(receiver.streams.at(-1)?.chunks ?? [])]).toString()
}

beforeEach(() => {
  clock = 5000
  receiver = new LinuxReceiver({ coalescing: 'always', predictsHeader: () => false, checksEcho: true })
  comes({
    seq: ISS,
    ack: 0,
    flags: syn,
    options: Buffer.concat([option(Option.sackPermitted, Buffer.alloc(0)), timestamps(clock++, 0)]),
  })
  const options = Buffer.concat([option(Option.sackPermitted, Buffer.alloc(0)), timestamps(7000, clock - 1)])
  goes({ seq: IRS, ack: ISS + 1, flags: syn | ack, options })
  comes({ flags: ack })
})

test('data in order is read once, whatever comes of it again', () => {
  expect(comes({ data: 'abc' })).toBe('accepted')
  expect(comes({ data: 'xyz' })).toBe('ignored')
  expect(comes({ data: 'xyzd' })).toBe('accepted')
  expect(read()).toBe('abcd')
})

describe('nothing is read of', () => {
  test.each<[string, SegmentFields, string]>([
    ['a segment without ACK', { flags: psh }, 'ignored'],
    ['an acknowledgement of what was never sent', { ack: IRS + 2 }, 'ignored'],
    ['an acknowledgement from before all that was sent', { ack: IRS - 5 }, 'challenge'],
    ['a timestamp two ticks old', { options: timestamps(5000, 0) }, 'challenge'],
    ['a SYN', { flags: syn }, 'challenge'],
    ['what begins beyond the window', { seq: ISS + 2 + WINDOW }, 'challenge'],
    ['what ends beyond the window', { seq: ISS + WINDOW }, 'challenge'],
    ['TCP-MD5', { options: option(Option.md5, Buffer.alloc(16)) }, 'ignored'],
  ])('%s', (_what, fields, verdict) => {
    comes({ flags: ack })
    expect(comes({ ...fields, data: 'forged' })).toBe(verdict)
    expect(comes({ data: 'honest' })).toBe('accepted')
    expect(read()).toBe('honest')
  })
})

test('a missing timestamp is no reason to refuse, one of the future is the reason to refuse what follows', () => {
  expect(comes({ data: 'a', options: Buffer.alloc(0) })).toBe('accepted')
  expect(comes({ seq: ISS + 2, data: 'b', options: timestamps(1_000_000, 0) })).toBe('accepted')
  expect(comes({ seq: ISS + 3, data: 'c' })).toBe('accepted')
  goes({ ack: ISS + 4 })
  expect(comes({ seq: ISS + 4, data: 'd', options: timestamps(1_000_000, 0) })).toBe('accepted')
  expect(comes({ seq: ISS + 5, data: 'e' })).toBe('challenge')
  expect(read()).toBe('abcd')
})

describe('a reset', () => {
  test('counts at exactly the next number, however old its timestamp', () => {
    expect(comes({ seq: ISS + 2, flags: rst })).toBe('challenge')
    expect(comes({ seq: ISS, flags: rst })).toBe('ignored')
    expect(comes({ flags: rst, options: timestamps(1, 0) })).toBe('reset')
    expect(receiver.streams[0]!.end).toBe('reset')
  })

  test('counts at the end of what is selectively acknowledged', () => {
    comes({ seq: ISS + 5, data: 'later' })
    expect(comes({ seq: ISS + 10, flags: rst })).toBe('reset')
  })
})

test('a FIN after a pending gap waits for what is missing, and nothing is read after it', () => {
  comes({ seq: ISS + 4, flags: fin | ack })
  comes({ seq: ISS + 5, data: 'behind' })
  expect(receiver.streams[0]!.end).toBe('none')
  comes({ data: 'abc' })
  expect(receiver.streams[0]!.end).toBe('fin')
  expect(read()).toBe('abc')
})

test('after a pending gap what begins first gives its bytes, and of equals the longer', () => {
  comes({ seq: ISS + 4, data: 'DEF' })
  comes({ seq: ISS + 3, data: 'cde' })
  comes({ seq: ISS + 3, data: 'CD' })
  comes({ seq: ISS + 3, data: 'xyzw' })
  comes({ data: 'ab' })
  expect(read()).toBe('abxyzw')
})

test('an urgent pointer marks its byte, also without data and in front of it', () => {
  comes({ flags: ack | urg, urgent: 3, data: 'abc' })
  comes({ seq: ISS + 4, flags: ack | urg, urgent: 2 })
  expect([...receiver.streams[0]!.urgent]).toEqual([2, 4])
})

test('a SYN of another number does not move a handshake, and the right end of it completes it', () => {
  receiver = new LinuxReceiver({ coalescing: 'always', predictsHeader: () => false, checksEcho: true })
  comes({ seq: 1, ack: 0, flags: syn, options: Buffer.alloc(0) })
  goes({ seq: IRS, ack: 2, flags: syn | ack })
  expect(comes({ seq: 900_000, ack: 0, flags: syn, options: Buffer.alloc(0) })).toBe('challenge')
  expect(comes({ seq: 2, ack: IRS + 2, data: 'forged', options: Buffer.alloc(0) })).toBe('ignored')
  expect(comes({ seq: 2, data: 'honest', options: Buffer.alloc(0) })).toBe('accepted')
  expect(read()).toBe('honest')
})
