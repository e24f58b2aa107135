/** Decapsulation: any frame or mirrored datagram, alone, and IP fragments in rows. */
import { Layer } from '../../../src/decapsulation/layer.ts'
import { LinkType } from '../../../src/wire/link-type.ts'
import { SAMPLES } from '../../decapsulation/samples.ts'
import { type Entry, type Given, Walker, walk } from '../../decapsulation/walk.ts'
import { vxlan } from '../../support/packets.ts'
import { InlinePath, USUAL_SHAPE } from '../inline-path.ts'
import { Choices } from '../input.ts'
import { lie, lieInGeneve, mutateBytes, mutateList } from '../mutate.ts'
import { hold, type Target } from '../target.ts'

const ENTRIES: readonly Entry[] = [
  ...Object.values(LinkType).map((linkType) => ({ linkType })),
  { layer: Layer.vxlan },
  { layer: Layer.gpe },
  { layer: Layer.geneve },
  { layer: Layer.tzsp },
  // A link type nobody reads.
  { linkType: 147 },
]
const entryOf = (layer: number) => ENTRIES.findIndex((entry) => 'layer' in entry && entry.layer === layer)
const VXLAN_ENTRY = entryOf(Layer.vxlan)
const GENEVE_ENTRY = entryOf(Layer.geneve)

/** Every VNI, and none: asks nothing, but only the walk over the layers can answer. */
const EVERY_VNI = { has: () => true } as unknown as ReadonlySet<number>

const entryIndex = (entry: Entry) => ENTRIES.findIndex((other) => JSON.stringify(other) === JSON.stringify(entry))

/** Part 0: where the packet comes in, bytes missing, checksums verified, depth; part 1: the packet. */
export const decapsulation: Target = {
  name: 'decapsulation',
  fixedParts: 0,
  make(random, corpus) {
    const sample = SAMPLES[random.pick(corpus.samples)]!
    let { bytes } = sample
    let entry = entryIndex(sample.entry)
    if (random.chance(0.4)) {
      const frame = random.pick(random.pick(corpus.captures))
      bytes = frame.bytes
      entry = entryIndex({ linkType: frame.linkType })
      if (frame.linkType === LinkType.ethernet && random.chance(0.5)) {
        bytes = vxlan(random.below(1 << 24), bytes)
        entry = VXLAN_ENTRY
      }
    }
    if (entry < 0 || random.chance(0.1)) entry = random.below(ENTRIES.length)
    const donor = SAMPLES[random.pick(corpus.samples)]!.bytes
    for (let i = random.between(0, 3); i > 0; i--) bytes = lie(random, bytes)
    const isGeneve = entry === GENEVE_ENTRY
    if (isGeneve && random.chance(0.6)) bytes = lieInGeneve(random, bytes)
    if (random.chance(isGeneve ? 0.3 : 0.7)) bytes = mutateBytes(random, bytes, donor)
    const missing = random.chance(0.2) ? random.between(1, 255) : 0
    return [Buffer.from([entry, missing, random.below(2), random.below(3)]), bytes]
  },
  run([settings, bytes = Buffer.alloc(0)]) {
    const choices = new Choices(settings)
    const entry = choices.pick(ENTRIES)
    const given: Given = { entry, bytes, missing: choices.below(256) }
    const verifyChecksums = choices.below(2) === 1
    const depth = [4, 1, 0][choices.below(3)]!
    const options = { verifyChecksums, tunnelDepth: depth, vlanDepth: depth }
    // What lies around the packet must not matter; the walker checks that what is found lies inside.
    const found = walk(given, options)
    const straight = new Walker(options)
    const walked = new Walker({ ...options, vnis: EVERY_VNI })
    const both = [straight.walk(given), walked.walk(given)].map((one) => JSON.stringify(one))
    hold(both[0] === both[1], () => `the straight path finds ${both[0]}, the walk ${both[1]}`)
    const counters = [straight, walked].map((walker) => Buffer.from(walker.counters.values.slice().buffer))
    hold(counters[0]!.equals(counters[1]!), 'the straight path counts otherwise than the walk')
    return found
  },
}

/** Part 0: checksums, store size; others: a link type, a pause, then a fragment. */
export const fragments: Target = {
  name: 'fragments',
  fixedParts: 0,
  make(random, corpus) {
    const rows = [random.pick(corpus.fragments), random.pick(corpus.fragments)]
    const dressed = rows.map((row) =>
      row.map(({ bytes }) => Buffer.concat([Buffer.from([random.chance(0.02) ? 255 : 0]), bytes])),
    )
    const list = mutateList(random, dressed[0]!, dressed[1]!, random.between(1, 6))
    const edited = list.map((part) => {
      if (random.chance(0.8)) return part
      const frame = part.subarray(1)
      return Buffer.concat([
        part.subarray(0, 1),
        random.chance(0.6) ? lie(random, frame) : mutateBytes(random, frame, dressed[1]![0]!, 1),
      ])
    })
    return [random.bytes(2), ...edited]
  },
  run([settings, ...packets]) {
    const choices = new Choices(settings)
    const shape = {
      ...USUAL_SHAPE,
      verifyChecksums: choices.below(2) === 1,
      fragmentBytes: [1 << 20, 4096, 600][choices.below(3)]!,
    }
    const requests: string[] = []
    const path = new InlinePath(shape, (message) =>
      requests.push(`${message.method()} ${message.target()} ${message.bodyBytes}`),
    )
    for (const packet of packets) {
      const pause = packet[0] ?? 0
      path.frame(packet.subarray(1), LinkType.ethernet, 0, pause === 255 ? 6_000_000 : pause)
    }
    path.end()
    return { requests, counters: [...path.counters.values] }
  },
}
