import { createSocket } from 'node:dgram'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { BatchReader } from '../../../src/sources/live/batch-reader.ts'
import { BpfAssembler } from '../../../src/sources/live/bpf-assembler.ts'
import { koffiAvailable, loadLibc } from '../../../src/sources/live/libc.ts'
import { SteeredSockets } from '../../../src/sources/live/steered-sockets.ts'
import { type SteeredFormat, steeringProgram } from '../../../src/sources/live/steering.ts'
import { EtherType } from '../../../src/wire/ethernet.ts'
import { IpProtocol } from '../../../src/wire/ip.ts'
import { runBpf } from '../../support/bpf-interpreter.ts'
import {
  AWS_OPTIONS,
  authenticationHeader,
  type Extension,
  ethernet,
  fragmentHeader,
  fragmentIpv4,
  geneve,
  geneveOption,
  gpe,
  ipv4,
  ipv6,
  optionsHeader,
  tcp,
  tzsp,
  udp,
  vxlan,
} from '../../support/packets.ts'
import { steeredTo } from './steering-rule.ts'

const KEY = 0x9abcdef1
const FORMATS = ['vxlan', 'gpe', 'geneve', 'tzsp'] as const

interface Inner {
  readonly version: 4 | 6
  readonly source: string
  readonly destination: string
  readonly sourcePort: number
  readonly destinationPort: number
  readonly protocol: number
  readonly tags: readonly number[]
  readonly optionWords: number
  readonly extensions: readonly Extension[]
  readonly geneveOptions: readonly Buffer[]
  readonly tzspTags: readonly Buffer[]
}

const FLOW: Inner = {
  version: 4,
  source: '10.0.0.1',
  destination: '10.0.0.2',
  sourcePort: 40_000,
  destinationPort: 80,
  protocol: IpProtocol.tcp,
  tags: [],
  optionWords: 0,
  extensions: [],
  geneveOptions: [],
  tzspTags: [],
}

function packetOf(f: Inner): Buffer {
  const { sourcePort, destinationPort, source, destination, protocol } = f
  const segment = tcp({ sourcePort, destinationPort, data: 'GET / HTTP/1.1\r\n\r\n' })
  const datagram = udp(destinationPort, Buffer.from('x'.repeat(20)))
  const payload = protocol === IpProtocol.udp ? datagram : segment
  return f.version === 4
    ? ipv4({ source, destination, protocol, payload, options: Buffer.alloc(f.optionWords * 4, 1) })
    : ipv6({ source, destination, protocol, payload, extensions: f.extensions })
}

function encapsulated(format: SteeredFormat, f: Inner, packet = packetOf(f)): Buffer {
  const frame = ethernet(f.version === 4 ? EtherType.ipv4 : EtherType.ipv6, packet, f.tags)
  if (format === 'vxlan') return vxlan(7, frame)
  if (format === 'gpe') return gpe(7, 3, frame)
  if (format === 'tzsp') return tzsp(frame, f.tzspTags)
  return geneve({ protocol: EtherType.transparentEthernet, payload: frame, options: f.geneveOptions })
}

const reversed = (f: Inner): Inner => ({
  ...f,
  source: f.destination,
  destination: f.source,
  sourcePort: f.destinationPort,
  destinationPort: f.sourcePort,
})

const octet = fc.integer({ min: 0, max: 255 })
const word = fc.integer({ min: 0, max: 0xffff })
const v4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'))
const v6 = fc.array(word, { minLength: 8, maxLength: 8 }).map((words) => words.map((w) => w.toString(16)).join(':'))
const extension = fc.oneof(
  fc
    .tuple(fc.constantFrom(0, 43, 60, 135, 139, 140), fc.integer({ min: 1, max: 3 }))
    .map(([type, units]) => optionsHeader(type, units)),
  fc.integer({ min: 3, max: 9 }).map((words) => authenticationHeader(words)),
)
const inner: fc.Arbitrary<Inner> = fc.constantFrom(4 as const, 6 as const).chain((version) =>
  fc.record({
    version: fc.constant(version),
    source: version === 4 ? v4 : v6,
    destination: version === 4 ? v4 : v6,
    sourcePort: word,
    destinationPort: fc.oneof(word, fc.constantFrom(80, 4789, 4790, 6081, 2152, 3544, 5555, 37_008)),
    protocol: fc.constantFrom(IpProtocol.tcp, IpProtocol.tcp, IpProtocol.udp, 1),
    tags: fc.array(fc.constantFrom(0x8100, 0x88a8, 0x9100), { maxLength: 5 }),
    optionWords: fc.integer({ min: 0, max: 10 }),
    extensions: fc.array(extension, { maxLength: 5 }),
    geneveOptions: fc.array(
      fc.integer({ min: 0, max: 5 }).map((words) => geneveOption(0x0108, 1, Buffer.alloc(words * 4, 9))),
      { maxLength: 4 },
    ),
    tzspTags: fc.array(
      fc.oneof(fc.constant(Buffer.from([0])), fc.constantFrom(Buffer.from([41, 2, 0, 9]), Buffer.from([10, 1, 7]))),
      { maxLength: 5 },
    ),
  }),
)

describe('the steering program', () => {
  test.each(FORMATS)('of %s chooses what the rule says, for any packet, whole or truncated', (format) => {
    fc.assert(
      fc.property(inner, fc.integer({ min: 2, max: 9 }), fc.nat(), fc.boolean(), (f, sockets, cut, isWhole) => {
        const program = steeringProgram(format, sockets, KEY, 0, [5555])
        const whole = encapsulated(format, f)
        const payload = isWhole ? whole : whole.subarray(0, cut % (whole.length + 1))
        expect(runBpf(program, payload)).toBe(steeredTo(format, payload, sockets, KEY, [5555]))
      }),
      { numRuns: 500 },
    )
  })

  test.each(FORMATS)(
    'of %s chooses what the rule says of random bytes, and never a socket that is not there',
    (format) => {
      const program = steeringProgram(format, 3, KEY)
      fc.assert(
        fc.property(inner, fc.uint8Array({ maxLength: 12 }), fc.nat(200), (f, noise, at) => {
          const payload = encapsulated(format, f)
          payload.set(noise.subarray(0, Math.max(0, payload.length - at)), Math.min(at, payload.length))
          const chosen = runBpf(program, payload)
          expect(chosen).toBe(steeredTo(format, payload, 3, KEY))
          expect(chosen).toBeLessThan(3)
        }),
        { numRuns: 500 },
      )
    },
  )

  test.each(FORMATS)('of %s sends both directions of a connection to one socket', (format) => {
    const program = steeringProgram(format, 7, KEY)
    const tcpOnly = inner.map((f) => ({ ...f, protocol: IpProtocol.tcp }))
    fc.assert(
      fc.property(tcpOnly, (f) => {
        expect(runBpf(program, encapsulated(format, f))).toBe(runBpf(program, encapsulated(format, reversed(f))))
      }),
    )
  })

  test.each([2, 3, 4, 8])(
    'spreads connections evenly over %i sockets: many clients, or many ports of one',
    (sockets) => {
      const program = steeringProgram('vxlan', sockets, KEY)
      const loads = (flows: readonly Inner[]) => {
        const load = new Array<number>(sockets).fill(0)
        for (const f of flows) load[runBpf(program, encapsulated('vxlan', f))]!++
        return load
      }
      const clients = Array.from({ length: 2000 }, (_, i) => ({ ...FLOW, source: `10.1.${i >> 8}.${i & 255}` }))
      const ports = Array.from({ length: 2000 }, (_, i) => ({ ...FLOW, sourcePort: 30_000 + i }))
      const six = ports.map((f) => ({ ...f, version: 6 as const, source: '2001:db8::1', destination: '2001:db8::2' }))
      for (const load of [loads(clients), loads(ports), loads(six)]) {
        // Seven standard deviations of a binomial distribution.
        const mean = 2000 / sockets
        for (const n of load) expect(Math.abs(n - mean)).toBeLessThan(7 * Math.sqrt(mean * (1 - 1 / sockets)))
      }
    },
  )

  test('with another key spreads the same connections otherwise', () => {
    const flows = Array.from({ length: 64 }, (_, i) => encapsulated('vxlan', { ...FLOW, sourcePort: i }))
    const [one, two] = [1, 2].map((key) => flows.map((f) => runBpf(steeringProgram('vxlan', 4, key), f)).join(''))
    expect(one).not.toBe(two)
  })

  test('sockets behind those of a predecessor are chosen as they would be alone', () => {
    const payloads = Array.from({ length: 64 }, (_, i) => encapsulated('vxlan', { ...FLOW, sourcePort: i }))
    for (const sockets of [1, 3]) {
      const alone = payloads.map((payload) => runBpf(steeringProgram('vxlan', sockets, KEY), payload))
      const behind = payloads.map((payload) => runBpf(steeringProgram('vxlan', sockets, KEY, 5), payload))
      expect(behind).toEqual(alone.map((index) => index + 5))
      // A load outside the packet ends the program with 0, whatever it would have said: such a datagram ends in the kernel's drop count.
      if (sockets > 1) expect(runBpf(steeringProgram('vxlan', sockets, KEY, 5), Buffer.from([8, 0, 0, 0]))).toBe(0)
    }
  })

  const flows = Array.from({ length: 40 }, (_, i) => ({ ...FLOW, sourcePort: 1000 + i }))
  const chosen = (format: SteeredFormat, payloads: readonly Buffer[]) =>
    new Set(payloads.map((payload) => runBpf(steeringProgram(format, 4, KEY), payload)))

  test('sees through two VLAN tags, IP options, extension headers and GENEVE options', () => {
    const six = { version: 6 as const, source: '2001:db8::1', destination: '2001:db8::2' }
    const dressed: ((f: Inner) => Partial<Inner>)[] = [
      () => ({ tags: [0x88a8, 0x8100] }),
      () => ({ optionWords: 10 }),
      () => ({ ...six, extensions: [optionsHeader(0), authenticationHeader()] }),
      () => ({ geneveOptions: AWS_OPTIONS }),
    ]
    for (const format of FORMATS)
      for (const dress of dressed)
        expect(
          chosen(
            format,
            flows.map((f) => encapsulated(format, { ...f, ...dress(f) })),
          ).size,
        ).toBe(4)
    // A tag or an option does not make it another flow.
    for (const f of flows) {
      const plain = runBpf(steeringProgram('vxlan', 4, KEY), encapsulated('vxlan', f))
      const tagged = encapsulated('vxlan', { ...f, tags: [0x88a8, 0x8100], optionWords: 3 })
      expect(runBpf(steeringProgram('vxlan', 4, KEY), tagged)).toBe(plain)
    }
  })

  test('reads IP without Ethernet, which GPE and GENEVE may carry', () => {
    const six = { version: 6 as const, source: '2001:db8::1', destination: '2001:db8::2' }
    const packets = flows.map((f) => packetOf(f))
    const packets6 = flows.map((f) => packetOf({ ...f, ...six }))
    const wrapped: [SteeredFormat, readonly Buffer[]][] = [
      ['gpe', packets.map((payload) => gpe(7, 1, payload))],
      ['gpe', packets6.map((payload) => gpe(7, 2, payload))],
      ['geneve', packets.map((payload) => geneve({ protocol: EtherType.ipv4, payload, options: AWS_OPTIONS }))],
      ['geneve', packets6.map((payload) => geneve({ protocol: EtherType.ipv6, payload }))],
    ]
    for (const [format, payloads] of wrapped) expect(chosen(format, payloads).size).toBe(4)
  })

  test('sends all fragments to socket 0, the first included, and what is no TCP or UDP', () => {
    const long = flows.map((f) => ipv4({ ...f, payload: tcp({ ...f, data: 'x'.repeat(200) }) }))
    const four = long.flatMap((packet) => fragmentIpv4(packet, 64))
    const six = flows.map((f) =>
      ipv6({ payload: tcp({ ...f }), extensions: [optionsHeader(0), fragmentHeader(7, 0, true)] }),
    )
    const tunnel = [4789, 8472, 2152, 3544].map((port) =>
      packetOf({ ...FLOW, protocol: IpProtocol.udp, destinationPort: port }),
    )
    for (const format of FORMATS) {
      expect([
        ...chosen(
          format,
          [...four, ...tunnel].map((packet) => encapsulated(format, FLOW, packet)),
        ),
      ]).toEqual([0])
      expect([
        ...chosen(
          format,
          six.map((packet) => encapsulated(format, { ...FLOW, version: 6 }, packet)),
        ),
      ]).toEqual([0])
    }
  })
})

describe('the assembler', () => {
  test('refuses jumps to labels that are missing, behind or beyond what a byte holds', () => {
    const missing = new BpfAssembler()
    missing.jump('nowhere')
    expect(() => missing.build()).toThrow('nowhere')
    const behind = new BpfAssembler()
    behind.label('start')
    behind.jump('start')
    expect(() => behind.build()).toThrow('start')
    const far = new BpfAssembler()
    far.jumpIfEqual(1, 'end')
    for (let i = 0; i < 256; i++) far.add(1)
    far.label('end')
    far.return(0)
    expect(() => far.build()).toThrow('end')
  })
})

describe.skipIf(!(await koffiAvailable()))('the kernel', () => {
  const cleanups: (() => void)[] = []
  afterEach(() => {
    for (const cleanup of cleanups.splice(0)) cleanup()
  })

  const SOCKETS = 3

  test.each(FORMATS)(
    'runs the program of %s: each flow comes to one socket, both directions, all sockets get some',
    async (format) => {
      const libc = await loadLibc()
      const sockets = await SteeredSockets.open([{ host: '127.0.0.1', port: 0, format }], SOCKETS, 1 << 20)
      cleanups.push(() => sockets.close())
      const flows = Array.from({ length: 60 }, (_, i): Inner => {
        const isSix = i % 3 === 0
        return {
          ...FLOW,
          ...(isSix ? { version: 6, source: `2001:db8::${i + 1}`, destination: '2001:db8::ffff' } : {}),
          sourcePort: 2000 + i,
          tags: [[], [0x8100], [0x88a8, 0x8100]][i % 3]!,
          optionWords: i % 5,
          extensions: i % 2 === 0 ? [optionsHeader(60)] : [],
          geneveOptions: i % 4 === 0 ? AWS_OPTIONS : [],
        }
      })
      const fragments = fragmentIpv4(ipv4({ payload: tcp({ data: 'x'.repeat(300) }) }), 64).map((packet) =>
        encapsulated(format, FLOW, packet),
      )
      const payloads = [
        ...flows.map((f) => encapsulated(format, f)),
        ...flows.map((f) => encapsulated(format, reversed(f))),
        ...fragments,
        Buffer.alloc(1),
        Buffer.alloc(30, 0xff),
      ]
      const sender = createSocket('udp4')
      await new Promise<void>((resolve) => sender.connect(sockets.bound[0]!.port, '127.0.0.1', resolve))
      cleanups.push(() => sender.close())
      for (const payload of payloads) sender.send(payload)

      const cameTo = new Map<string, number>()
      let arrived = 0
      for (let socket = 0; socket < SOCKETS; socket++) {
        const reader = new BatchReader(
          libc,
          sockets.descriptorsOf(socket),
          2048,
          {
            datagram(bytes, at, end) {
              arrived++
              cameTo.set(bytes.toString('hex', at, end), socket)
            },
            batchEnd() {},
          },
          (errno) => expect.fail(`errno ${errno}`),
        )
        while (reader.receive(0) > 0);
      }
      expect(arrived).toBe(payloads.length)
      const places = payloads.map((payload) => cameTo.get(payload.toString('hex')))
      expect(places.slice(0, flows.length)).toEqual(places.slice(flows.length, 2 * flows.length))
      expect(new Set(places.slice(0, flows.length))).toEqual(new Set([0, 1, 2]))
      expect(new Set(places.slice(2 * flows.length))).toEqual(new Set([0]))
    },
  )

  test('gives a shared port to no second process: neither plainly bound nor sharing', async () => {
    const first = await SteeredSockets.open([{ host: '127.0.0.1', port: 0, format: 'vxlan' }], 2, 1 << 16)
    cleanups.push(() => first.close())
    const taken = { ...first.bound[0]!, format: 'vxlan' as const }
    await expect(SteeredSockets.open([taken], 2, 1 << 16)).rejects.toMatchObject({ code: 'ERR_LISTEN' })
    const second = createSocket('udp4')
    const bound = new Promise((resolve, reject) => {
      second.once('error', reject)
      second.bind(taken.port, '127.0.0.1', () => resolve('bound'))
    })
    await expect(bound).rejects.toMatchObject({ code: 'EADDRINUSE' })
    second.close()
  })

  test('listens on several addresses, each with its sockets in order', async () => {
    const sockets = await SteeredSockets.open(
      [
        { host: '127.0.0.1', port: 0, format: 'vxlan' },
        { host: '127.0.0.1', port: 0, format: 'geneve' },
      ],
      2,
      1 << 16,
    )
    cleanups.push(() => sockets.close())
    expect(new Set([...sockets.descriptorsOf(0), ...sockets.descriptorsOf(1)]).size).toBe(4)
    expect(sockets.bound[0]!.port).not.toBe(sockets.bound[1]!.port)
    expect(sockets.kernelDropped()).toBe(0)
  })
})
