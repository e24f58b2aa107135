/** Between threads and in the kernel: ring records come out as they went in; the steering program keeps to its rule. */
import { Decapsulator } from '../../../src/decapsulation/decapsulator.ts'
import { Layer } from '../../../src/decapsulation/layer.ts'
import { PacketView } from '../../../src/decapsulation/packet-view.ts'
import { Verdict } from '../../../src/decapsulation/verdict.ts'
import { CounterBlock } from '../../../src/metrics/counters.ts'
import { RING_MIN_CAPACITY, RingConsumer, RingProducer, ringBytes } from '../../../src/ring/ring.ts'
import { steeringProgram } from '../../../src/sources/live/steering.ts'
import { SAMPLES } from '../../decapsulation/samples.ts'
import { OPTIONS } from '../../decapsulation/walk.ts'
import { steeredTo } from '../../sources/live/steering-rule.ts'
import { runBpf } from '../../support/bpf-interpreter.ts'
import { geneve, gpe, tzsp, vxlan } from '../../support/packets.ts'
import { Choices } from '../input.ts'
import { lie, mutateBytes } from '../mutate.ts'
import { hold, type Target } from '../target.ts'

const source = Buffer.allocUnsafeSlow(70_000)
const PATTERN = Buffer.from(Uint8Array.from({ length: 70_000 }, (_, i) => (i * 31) ^ (i >> 8)))

/** Each part is a packet: eight bytes of facts, then a pattern's length and start. */
export const ring: Target = {
  name: 'ring',
  fixedParts: 0,
  make(random) {
    return Array.from({ length: random.between(1, random.chance(0.2) ? 120 : 30) }, () => random.bytes(10))
  },
  run(input) {
    const memory = new SharedArrayBuffer(ringBytes(RING_MIN_CAPACITY))
    const producer = new RingProducer(memory)
    const consumer = new RingConsumer(memory)
    const written: { bytes: Buffer; facts: number[] }[] = []
    let refused = 0
    let read = 0
    const drain = (most: number) => {
      const view = new PacketView()
      for (let i = 0; i < most && consumer.next(view); i++) {
        const expected = written.shift()
        hold(expected !== undefined, 'a record that was not written')
        const { bytes, facts } = expected!
        hold(view.bytes.subarray(view.ipAt, view.end).equals(bytes), `record ${read}: other bytes`)
        const got = [
          view.hash,
          view.vni,
          view.tcpAt - view.ipAt,
          view.ipVersion,
          view.trueEnd - view.ipAt,
          view.timeUs,
          view.nowUs,
        ]
        hold(got.join() === facts.join(), () => `record ${read}: ${got}, written ${facts}`)
        read++
      }
      consumer.release()
    }
    for (const part of input) {
      const choices = new Choices(part)
      const size = choices.pick([0, 1, 20, 40, 576, 1500, 9000, 65_575]) + choices.below(256)
      const length = Math.min(65_575, size)
      const at = choices.below(64)
      const view = new PacketView()
      PATTERN.copy(source, at, size & 255, (size & 255) + length)
      view.bytes = source
      view.ipAt = at
      view.end = at + length
      view.trueEnd = view.end + choices.below(256) * 7
      view.tcpAt = at + choices.below(256)
      view.ipVersion = choices.pick([4, 6])
      view.hash = (choices.below(256) << 24) | 5
      view.vni = choices.below(256) - 1
      view.timeUs = 1_700_000_000_000_000.5 + choices.below(256)
      view.nowUs = view.timeUs + 1
      if (producer.tryWrite(view)) {
        const facts = [view.hash, view.vni, view.tcpAt - at, view.ipVersion, view.trueEnd - at, view.timeUs, view.nowUs]
        written.push({ bytes: Buffer.from(source.subarray(at, at + length)), facts })
      } else refused++
      source.fill(0xee, at, at + length)
      const share = choices.below(8)
      if (share > 2) producer.publish()
      if (share > 4) drain(share * 3)
      hold(producer.used() <= RING_MIN_CAPACITY, 'more bytes than there are')
    }
    producer.publish()
    drain(Number.POSITIVE_INFINITY)
    hold(written.length === 0 && read + refused === input.length, `${read} read, ${refused} refused of ${input.length}`)
    hold(producer.used() === 0 && consumer.isEmpty(), 'not empty at the end')
    return { read, refused }
  },
}

const FORMATS = ['vxlan', 'gpe', 'geneve', 'tzsp'] as const
const KEY = 0x9abcdef1

/** Part 0: format, sockets; part 1: the payload of a mirrored datagram. */
export const steering: Target = {
  name: 'steering',
  fixedParts: 0,
  make(random, corpus) {
    const sample = SAMPLES[random.pick(corpus.samples)]!.bytes
    const frame = random.chance(0.5) ? sample : random.pick(random.pick(corpus.captures)).bytes
    const format = random.below(4)
    const options = Buffer.alloc(4 * random.below(4), 0)
    let payload = [
      vxlan(7, frame),
      gpe(7, random.pick([1, 2, 3, 4]), frame),
      geneve({ protocol: 0x6558, payload: frame, options: [options] }),
      tzsp(frame, random.chance(0.5) ? [Buffer.from([41, 2, 0, 9])] : []),
    ][format]!
    if (random.chance(0.5)) payload = lie(random, payload)
    if (random.chance(0.5)) payload = mutateBytes(random, payload, sample)
    return [Buffer.from([format, random.below(8)]), payload]
  },
  run([settings, payload = Buffer.alloc(0)]) {
    const choices = new Choices(settings)
    const format = choices.pick(FORMATS)
    const sockets = 2 + choices.below(8)
    const program = steeringProgram(format, sockets, KEY)
    const chosen = runBpf(program, payload)
    hold(chosen < sockets, `socket ${chosen} of ${sockets}`)
    const rule = steeredTo(format, payload, sockets, KEY)
    hold(chosen === rule, `the program chooses ${chosen}, the rule ${rule}`)
    const answer = reversedOf(payload, format)
    if (answer !== null) {
      const back = runBpf(program, answer)
      hold(back === chosen, `one direction goes to socket ${chosen}, the other to ${back}`)
    }
    return chosen
  },
}

/** The same packet from the other end, where there is a TCP packet in it. */
function reversedOf(payload: Buffer, format: (typeof FORMATS)[number]): Buffer | null {
  const decapsulator = new Decapsulator({ ...OPTIONS, tunnelDepth: 0 }, new CounterBlock())
  if (decapsulator.datagram(payload, 0, payload.length, false, Layer[format]) !== Verdict.tcp) return null
  const { bytes, ipAt, tcpAt, ipVersion } = decapsulator.view
  if (bytes !== payload) return null
  const out = Buffer.from(payload)
  const [from, length] = ipVersion === 4 ? [ipAt + 12, 4] : [ipAt + 8, 16]
  for (const [at, size] of [
    [from, length],
    [tcpAt, 2],
  ] as const) {
    payload.copy(out, at, at + size, at + 2 * size)
    payload.copy(out, at + size, at, at + size)
  }
  return out
}
