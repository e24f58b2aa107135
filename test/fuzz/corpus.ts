/**
 * What inputs are made from: traffic of our own generator, packets built by hand, and, where they stand beside the checkout, real captures
 * and those of another generator. The same seed and the same folder give the same corpus.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { converse } from '../../src/demo/traffic/http-conversation.ts'
import { Random } from '../../src/demo/traffic/random.ts'
import { SampleTraffic } from '../../src/demo/traffic/sample-traffic.ts'
import { emptyTally } from '../../src/demo/traffic/tally.ts'
import { openCaptureInput } from '../../src/sources/files/open-capture.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { SAMPLES } from '../decapsulation/samples.ts'
import { KUZNETZOV, MICROSECONDS, NANOSECONDS, pcapFile, Section } from '../sources/files/capture-builder.ts'
import { PiecewiseInput } from '../sources/files/reading.ts'
import { ethernet, fragmentIpv4, fragmentIpv6, gpe, inVxlanFrame, ipv4, ipv6, tcp, udp, vxlan } from './packets.ts'
import { type KnownRequest, knownRequest } from './truth.ts'

export interface Frame {
  readonly linkType: number
  readonly bytes: Buffer
}

/** A capture with every request that was sent in it. */
export interface KnownTraffic {
  readonly frames: readonly Frame[]
  readonly requests: readonly KnownRequest[]
}

export interface Corpus {
  /** Names of `SAMPLES` that stand for every encapsulation. */
  readonly samples: readonly string[]
  /** Frames in the order of their captures. */
  readonly captures: readonly (readonly Frame[])[]
  readonly files: {
    readonly pcap: readonly Buffer[]
    readonly pcapng: readonly Buffer[]
    readonly gzip: readonly Buffer[]
  }
  /** Both sides of HTTP conversations, turn by turn. */
  readonly conversations: readonly (readonly { readonly isClient: boolean; readonly bytes: Buffer }[])[]
  readonly known: readonly KnownTraffic[]
  /** IP fragments in order, some of several datagrams. */
  readonly fragments: readonly (readonly Frame[])[]
  readonly notes: readonly string[]
}

export interface CorpusSource {
  readonly seed: number
  /** Folder with `corpus` and `tools`; null: only what we make. */
  readonly shared: string | null
}

/** Larger captures make few inputs a second; their packets are like those of the small ones. */
const MOST_FILE_BYTES = 24_000
const MOST_FILES = 120
const OWN_TRAFFICS = 24
const MADE_TRAFFICS = 6

export async function openCorpus({ seed, shared }: CorpusSource): Promise<Corpus> {
  const random = new Random(seed)
  const notes: string[] = []
  const known = Array.from({ length: OWN_TRAFFICS }, (_, i) => sampleTraffic(random, 2 + i))
  const files = { pcap: ownPcaps(known, random), pcapng: ownPcapngs(known, random), gzip: [] as Buffer[] }
  const captures: Frame[][] = known.map(({ frames }) => [...frames])
  if (shared === null) notes.push('real captures and those of another generator: not asked for')
  else {
    captures.push(...(await realCaptures(shared, files, notes)))
    known.push(...(await madeTraffic(shared, seed, notes)))
  }
  files.gzip = [...files.pcap, ...files.pcapng].slice(0, 40).map((bytes) => gzipSync(bytes))
  return {
    samples: Object.keys(SAMPLES),
    captures,
    files,
    conversations: Array.from({ length: 60 }, (_, i) => conversation(random, 1 + (i % 6))),
    known,
    fragments: Array.from({ length: 30 }, () => fragmentsOf(random)),
    notes,
  }
}

/**
 * Sample traffic without keep-alive probes: where the byte that a probe repeats is lost, nothing tells the probe's own byte from it
 * (docs/replay.md, "What remains uncertain").
 */
function sampleTraffic(random: Random, requests: number): KnownTraffic {
  for (;;) {
    const traffic = anySampleTraffic(random.word(), requests)
    if (traffic.probes === 0) return traffic
  }
}

/** Connections of the sample traffic; every other one mirrored as a VXLAN datagram inside a captured frame. */
function anySampleTraffic(seed: number, requests: number): KnownTraffic & { readonly probes: number } {
  const frames: Frame[] = []
  const sent: KnownRequest[] = []
  const isMirrored = seed % 2 === 0
  const traffic = new SampleTraffic(
    seed,
    {
      request: (request) => sent.push(knownRequest(request)),
      frame: (bytes, vni) =>
        frames.push({
          linkType: LinkType.ethernet,
          bytes: isMirrored ? inVxlanFrame(vni, Buffer.from(bytes)) : Buffer.from(bytes),
        }),
    },
    { connections: 1 + (seed % 5) },
  )
  traffic.extend(requests)
  while (traffic.step());
  return { frames, requests: sent, probes: traffic.tally.probes }
}

function conversation(random: Random, requests: number) {
  const place = { connection: 1, clientAddress: '10.0.0.1', serverPort: 80 }
  return converse(random, place, requests, emptyTally()).turns.map(({ from, bytes }) => ({
    isClient: from === 'client',
    bytes,
  }))
}

function fragmentsOf(random: Random): Frame[] {
  const out: Frame[] = []
  for (let i = random.between(1, 4); i > 0; i--) {
    const data = Buffer.concat([Buffer.from(`POST /${i} HTTP/1.1\r\nContent-Length: 300\r\n\r\n`), random.bytes(300)])
    const segment = tcp({ sourcePort: 40_000 + i, seq: random.word() | 0, data })
    const size = 8 * random.between(1, 20)
    const id = random.below(4)
    const isV6 = random.chance(0.4)
    const isOuter = random.chance(0.3)
    const inner = isV6 ? ipv6({ payload: segment }) : ipv4({ payload: segment })
    const type = isV6 ? 0x86dd : 0x0800
    const carried = ethernet(type, inner)
    const datagram = random.chance(0.5) ? udp(4789, vxlan(7, carried)) : udp(4790, gpe(7, 3, carried))
    const packet = !isOuter
      ? inner
      : isV6
        ? ipv6({ protocol: IpProtocol.udp, payload: datagram })
        : ipv4({ protocol: IpProtocol.udp, payload: datagram })
    const pieces = isV6 ? fragmentIpv6(packet, size, id) : fragmentIpv4(packet, size, id)
    out.push(...pieces.map((bytes) => ({ linkType: LinkType.ethernet, bytes: ethernet(type, bytes) })))
  }
  return out
}

function ownPcaps(known: readonly KnownTraffic[], random: Random): Buffer[] {
  return [MICROSECONDS, NANOSECONDS, KUZNETZOV].flatMap((magic) =>
    [true, false].flatMap((littleEndian) =>
      known.slice(0, 4).map(({ frames }) => {
        const packets = frames.slice(0, 40).map(({ bytes }, i) => ({
          data: bytes.subarray(0, random.chance(0.1) ? 60 : undefined),
          wireLength: bytes.length,
          seconds: 1_700_000_000 + i,
          fraction: random.below(1_000_000),
        }))
        return pcapFile(packets, { magic, littleEndian, linkType: 1 })
      }),
    ),
  )
}

function ownPcapngs(known: readonly KnownTraffic[], random: Random): Buffer[] {
  return Array.from({ length: 16 }, (_, i) => {
    const sections = Array.from({ length: random.between(1, 3) }, () => {
      const section = new Section(random.chance(0.5))
      section.interface(1, 0, random.pick([6, 9, 3, 0x80 | 20])).interface(1, 100)
      for (const { bytes } of known[i % known.length]!.frames.slice(0, 30)) {
        const share = random.below(10)
        if (share < 7) section.enhanced(random.below(2), BigInt(random.word()) * 1000n, bytes)
        else if (share < 8) section.simple(bytes.subarray(0, 100), bytes.length)
        else if (share < 9) section.oldPacket(0, BigInt(random.word()), bytes)
        else section.block(random.pick([4, 5, 0x0bad]), random.bytes(12))
      }
      return section.end()
    })
    return Buffer.concat(sections)
  })
}

async function realCaptures(
  shared: string,
  files: { pcap: Buffer[]; pcapng: Buffer[] },
  notes: string[],
): Promise<Frame[][]> {
  const root = join(shared, 'corpus')
  if (!existsSync(root)) {
    notes.push(`real captures: skipped, ${root} is not there`)
    return []
  }
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(pcap|pcapng|cap)$/.test(path))
    .sort()
    .map((path) => join(root, path))
    .filter((path) => statSync(path).size <= MOST_FILE_BYTES)
  const step = Math.max(1, Math.ceil(paths.length / MOST_FILES))
  const captures: Frame[][] = []
  for (const path of paths.filter((_, i) => i % step === 0)) {
    const bytes = readFileSync(path)
    files[bytes.readUInt32BE(0) === 0x0a0d0d0a ? 'pcapng' : 'pcap'].push(bytes)
    const frames = await framesOf(bytes)
    if (frames.length > 0) captures.push(frames)
  }
  notes.push(`real captures: ${captures.length} below ${root}`)
  return captures
}

async function framesOf(bytes: Buffer): Promise<Frame[]> {
  const frames: Frame[] = []
  try {
    const source = await openCaptureInput(new PiecewiseInput(bytes))
    const { record } = source
    while (await source.fill())
      while (source.next())
        frames.push({ linkType: record.linkType, bytes: Buffer.from(record.bytes.subarray(record.at, record.end)) })
    await source.close()
  } catch {
    // Not a capture after all: some files are there because they are broken.
  }
  return frames
}

/** Traffic of the generator beside the checkout, without what its own truth leaves open: tunnels, overlaps that differ, probes. */
async function madeTraffic(shared: string, seed: number, notes: string[]): Promise<KnownTraffic[]> {
  const generator = join(shared, 'tools', 'gen.py')
  if (!existsSync(generator)) {
    notes.push(`traffic of another generator: skipped, ${generator} is not there`)
    return []
  }
  const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-fuzz-'))
  const made: KnownTraffic[] = []
  try {
    for (let i = 0; i < MADE_TRAFFICS; i++) {
      const [out, truth] = [join(folder, `${i}.pcap`), join(folder, `${i}.jsonl`)]
      const plain = [
        '--upgrade',
        '0',
        '--conflict',
        '0',
        '--keepalive',
        '0',
        '--bad-checksum',
        '0',
        '--iplen0',
        '0',
        '--noise',
        '0',
      ]
      const shape = [
        '--conns',
        '4',
        '--reqs',
        '3',
        '--body',
        '1-3k',
        '--resp-body',
        '1-500',
        '--preset',
        i % 2 === 0 ? 'clean' : 'mixed',
      ]
      execFileSync(
        'python3',
        [
          generator,
          '--out',
          out,
          '--truth',
          truth,
          '--seed',
          String((seed + i) >>> 0),
          ...shape,
          ...plain,
          ...(i % 3 === 0 ? ['--vxlan'] : []),
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      )
      const lines = readFileSync(truth, 'utf8').trim().split('\n')
      made.push({
        frames: await framesOf(readFileSync(out)),
        requests: lines.map((line) => madeRequest(JSON.parse(line))),
      })
    }
    notes.push(`traffic of another generator: ${made.length} captures of ${generator}`)
  } catch (error) {
    notes.push(`traffic of another generator: skipped, ${(error as Error).message.split('\n')[0]}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return made
}

interface MadeRequest {
  readonly method: string
  readonly uri: string
  readonly version: string
  readonly headers: readonly [string, string][]
  readonly bodyBytes: number
  readonly bodySha256: string
  readonly level: string
  readonly mayRepeat?: number
}

function madeRequest({ method, uri, version, headers, bodyBytes, bodySha256, mayRepeat }: MadeRequest): KnownRequest {
  return {
    text: `${method} ${uri} HTTP/${version}\n${headers.map(([name, value]) => `${name}: ${value}`).join('\n')}`,
    bodyBytes,
    bodySha256,
    times: 1 + (mayRepeat ?? 0),
  }
}
