/** TCP: packets of a connection or two, in any order, with any overlap, gap, flag and pause; the straight path and the full one agree. */
import type { Random } from '../../../src/demo/traffic/random.ts'
import { ACK, FIN, privates, Rig, RST, SYN } from '../../reassembly/rig.ts'
import { Choices, type Input } from '../input.ts'
import { mutateBytes, mutateList } from '../mutate.ts'
import { emptyProgressRegister } from '../registers.ts'
import { hold, type Target } from '../target.ts'

const ISNS = [1000, -5, 0x7ffffff0, -0x80000000]
const FLAGS = [ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK, 0, SYN, SYN | ACK, FIN | ACK, FIN, RST, RST | ACK, SYN | FIN]
const PAUSES_US = [100, 100, 100, 100, 60_000, 1_100_000, 6_000_000, 70_000_000]
const SHIFTS = [0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 7, -7, 40, -40, 3000, 1 << 20, 1 << 25, -0x80000000]
const WORD_BYTES = 9

/** Nine choices a packet: connection and side, shift, length, ack's shift, flags, cut, pause, letter, tick. */
const packet = (random: Random) =>
  Buffer.from([
    random.below(8),
    random.chance(0.7) ? 0 : random.below(SHIFTS.length),
    random.below(40),
    random.chance(0.7) ? 0 : random.below(SHIFTS.length),
    random.chance(0.8) ? 0 : random.below(FLAGS.length),
    random.chance(0.9) ? 0 : random.below(6),
    random.chance(0.9) ? 0 : random.below(PAUSES_US.length),
    random.chance(0.9) ? 0 : random.below(256),
    random.chance(0.9) ? 0 : 1,
  ])

export const reassembly: Target = {
  name: 'reassembly',
  fixedParts: 0,
  make(random) {
    const packets = Array.from({ length: random.between(1, 60) }, () => packet(random))
    const others = Array.from({ length: 10 }, () => packet(random))
    const list = mutateList(random, packets, others, random.between(0, 6))
    return [
      random.bytes(8),
      ...list.map((part) => (random.chance(0.1) ? mutateBytes(random, part, others[0]!, 1) : part)),
    ]
  },
  run(input) {
    const straight = play(input, true)
    const full = play(input, false)
    hold(JSON.stringify(straight) === JSON.stringify(full), 'the straight path does otherwise than the full one')
    return straight
  },
}

function play([settings, ...packets]: Input, isFast: boolean) {
  const choices = new Choices(settings)
  const isn = choices.pick(ISNS)
  const options = {
    overlap: choices.pick(['linux', 'first', 'last'] as const),
    reorderWindowPackets: choices.pick([6, 64]),
    maxFlows: choices.pick([1000, 1, 2]),
    outOfOrderBytes: choices.pick([1 << 20, 1000, 64]),
    outOfOrderTotalBytes: choices.pick([1 << 22, 2000]),
    vniInKey: choices.below(2) === 1,
  }
  const takesUpTo = choices.pick([Number.POSITIVE_INFINITY, 7, 1])
  const temper = {
    waitsForPeer: choices.pick([-1, 0, 1]),
    takes: (_: number, length: number) => Math.min(length, takesUpTo),
  }
  const progress = emptyProgressRegister()
  const rig = new Rig(options, temper, progress)
  if (!isFast) privates<{ fastPath: { take: () => boolean } }>(rig.reassembler).fastPath.take = () => false
  /** By connection and side: the next sequence number, were nothing lost. */
  const sent = [isn, 5000, 1 - isn, -1]
  for (const bytes of packets) {
    const step = new Choices(bytes.subarray(0, WORD_BYTES))
    const kind = step.below(8)
    // Mostly one connection.
    const pair = kind < 6 ? 0 : 2
    const own = pair + (kind & 1)
    const shift = step.pick(SHIFTS)
    const length = step.below(64)
    const seq = (sent[own]! + shift) | 0
    const ack = (sent[own ^ 1]! + step.pick(SHIFTS)) | 0
    const flags = step.pick(FLAGS)
    const missing = Math.min(step.below(64), length)
    const pauseUs = step.pick(PAUSES_US)
    const letter = 97 + step.below(26)
    const data = Array.from({ length }, (_, i) => String.fromCharCode(letter + (Math.abs(seq + i) % 7))).join('')
    const fields = { sourcePort: 40_000 + pair, seq, ack, flags, data, missing, vni: pair - 1 }
    if ((kind & 1) === 0) rig.client(fields)
    else rig.server({ ...fields, sourcePort: 80, destinationPort: 40_000 + pair })
    if (shift === 0) sent[own] = (seq + length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0)) | 0
    rig.pass(pauseUs)
    if (pauseUs > 100 || step.below(2) === 1) {
      for (const stream of rig.streams) stream.resume()
      rig.tick()
    }
  }
  rig.checkWheel()
  rig.closeAll()
  progress.mustBeEmpty()
  return { logs: rig.streams.map((s) => [s.log, s.pieces]), counters: [...rig.counters.values] }
}
