/** Readers of capture files: whatever the bytes, records in bounds or a MirrorError, and the same for any split and any window. */
import { isDeepStrictEqual } from 'node:util'
import { gunzipSync, gzipSync } from 'node:zlib'
import { MirrorError } from '../../../src/base/errors.ts'
import type { Random } from '../../../src/demo/traffic/random.ts'
import type { RecordSource } from '../../../src/sources/capture-record.ts'
import { mergeCaptures } from '../../../src/sources/files/merge-captures.ts'
import { openCaptureInput } from '../../../src/sources/files/open-capture.ts'
import { PiecewiseInput, type Read, readAll, readBytes } from '../../sources/files/reading.ts'
import type { Corpus } from '../corpus.ts'
import { Choices } from '../input.ts'
import { mutateBytes } from '../mutate.ts'
import { hold, type Target } from '../target.ts'

type Format = keyof Corpus['files']

const LENGTHS = [
  0,
  1,
  4,
  8,
  11,
  12,
  15,
  16,
  20,
  24,
  28,
  32,
  0xffff,
  0x10000,
  64 << 20,
  (64 << 20) + 1,
  0x7fffffff,
  0x80000000,
  0xfffffffc,
  0xffffffff,
]

/** A length of one record or block says something else. */
function lieInCapture(random: Random, bytes: Buffer): Buffer {
  const out = Buffer.from(bytes)
  if (out.length < 32) return out
  const isNg = out.readUInt32BE(0) === 0x0a0d0d0a
  const isLittle = isNg ? out[8] === 0x4d : out[0] !== 0xa1
  const read = (at: number) => (isLittle ? out.readUInt32LE(at) : out.readUInt32BE(at))
  const fields: number[] = []
  for (let at = isNg ? 0 : 24; at + 16 <= out.length && fields.length < 4000; ) {
    if (isNg) fields.push(at + 4, at + read(at + 4) - 4, at + 20, at + 24)
    else fields.push(at + 8, at + 12)
    at += isNg ? Math.max(12, read(at + 4)) : 16 + read(at + 8)
  }
  const at = fields.length === 0 ? 16 : random.pick(fields)
  if (at < 0 || at + 4 > out.length) return out
  const value = (random.chance(0.5) ? random.pick(LENGTHS) : read(at) + random.between(-40, 40)) >>> 0
  if (isLittle) out.writeUInt32LE(value, at)
  else out.writeUInt32BE(value, at)
  return out
}

function damaged(random: Random, corpus: Corpus, format: Format): Buffer {
  let bytes = random.pick(corpus.files[format])
  if (format === 'gzip' && random.chance(0.5)) bytes = gzipSync(lieInCapture(random, gunzipSync(bytes)))
  else if (random.chance(0.6)) bytes = lieInCapture(random, bytes)
  if (random.chance(0.6)) bytes = mutateBytes(random, bytes, random.pick(corpus.files[format]))
  return bytes
}

/** Sizes of reads and of the window, from bytes. */
function sizesOf(choices: Choices): { sizes: number[]; windowBytes: number } {
  const windowBytes = 1 + choices.below(256) * 4
  return { windowBytes, sizes: Array.from({ length: 4 }, () => 1 + choices.below(256) * choices.pick([1, 8, 64])) }
}

function reader(format: Format): Target {
  return {
    name: format,
    fixedParts: 0,
    make: (random, corpus) => [random.bytes(9), damaged(random, corpus, format)],
    async run([settings, bytes = Buffer.alloc(0)]) {
      const { sizes, windowBytes } = sizesOf(new Choices(settings))
      const outcome = (read: ReturnType<typeof readBytes>) => read.catch(refusal)
      const whole = await outcome(readBytes(bytes))
      const split = await outcome(readBytes(bytes, sizes, windowBytes))
      if (!isDamagedGzip(bytes, whole, split))
        hold(isDeepStrictEqual(split, whole), 'another split or window reads something else')
      else mustAgreeUpToDamage(whole, split)
      if (typeof whole === 'string') return whole
      const walked = whole.reads.reduce((sum, { data }) => sum + data.length + 16, 0)
      hold(bytes[0] === 0x1f || walked <= bytes.length, `${walked} bytes walked of ${bytes.length}`)
      hold(whole.warnings.length <= 4, `${whole.warnings.length} warnings`)
      return whole
    },
  }
}

type Outcome = string | { readonly reads: readonly Read[]; readonly warnings: readonly string[] }

/** Of gzip data with damage in it, how much in front of the damage is still read depends on how much was unpacked at a time. */
function isDamagedGzip(bytes: Buffer, ...outcomes: readonly Outcome[]): boolean {
  const notes = outcomes.flatMap((outcome) => (typeof outcome === 'string' ? [outcome] : outcome.warnings))
  return bytes[0] === 0x1f && notes.some((note) => /the gzip data is damaged/.test(note))
}

function mustAgreeUpToDamage(one: Outcome, other: Outcome): void {
  if (typeof one === 'string' || typeof other === 'string') return
  const common = Math.min(one.reads.length, other.reads.length)
  hold(
    isDeepStrictEqual(one.reads.slice(0, common), other.reads.slice(0, common)),
    'in front of the damage another split reads something else',
  )
}

/** The message, which must be the same again; anything but a MirrorError is a finding. */
function refusal(error: unknown): string {
  if (!(error instanceof MirrorError)) throw error
  hold(['ERR_CAPTURE_FORMAT', 'ERR_CAPTURE_READ'].includes(error.code), () => `refused as ${error.code}`)
  return error.message
}

export const pcap = reader('pcap')
export const pcapng = reader('pcapng')
export const gzip = reader('gzip')

/** Part 0: sizes; others: files. */
export const merged: Target = {
  name: 'merged-captures',
  fixedParts: 0,
  make(random, corpus) {
    const files = Array.from({ length: random.between(2, 5) }, () =>
      random.chance(0.3)
        ? damaged(random, corpus, random.pick<Format>(['pcap', 'pcapng', 'gzip']))
        : random.pick(corpus.files[random.pick<Format>(['pcap', 'pcapng'])]),
    )
    return [random.bytes(9), ...files]
  },
  async run([settings, ...files]) {
    const { sizes, windowBytes } = sizesOf(new Choices(settings))
    const open = async (): Promise<RecordSource[]> => {
      const sources: RecordSource[] = []
      for (const file of files) {
        try {
          sources.push(await openCaptureInput(new PiecewiseInput(file, sizes), windowBytes))
        } catch (error) {
          refusal(error)
        }
      }
      return sources
    }
    const single: Read[][] = []
    for (const source of await open()) {
      single.push(await readAll(source))
      await source.close()
    }
    if (single.length === 0) return null
    const source = mergeCaptures(await open())
    const all = await readAll(source)
    await source.close()
    hold(all.length === single.flat().length, `${all.length} records of ${single.flat().length}`)
    hold(isDeepStrictEqual(all, byTime(single)), 'not in order of time, or a source lost its own order')
    return all.length
  },
}

/** The rule in plain words: always the earliest of the records that are first in their files. */
function byTime(files: readonly (readonly Read[])[]): Read[] {
  const next = files.map(() => 0)
  const out: Read[] = []
  for (;;) {
    let earliest = -1
    for (const [i, file] of files.entries()) {
      const record = file[next[i]!]
      if (record !== undefined && (earliest < 0 || record.timeUs < files[earliest]![next[earliest]!]!.timeUs))
        earliest = i
    }
    if (earliest < 0) return out
    out.push(files[earliest]![next[earliest]!++]!)
  }
}
