/**
 * What a target is tried with: a list of byte strings ("parts": packets, pieces of a stream, settings), and nothing else. Every choice a
 * target makes is read from these bytes, so an input is a file, and taking a part or some bytes away is an input again.
 */
import { MirrorError } from '../../src/base/errors.ts'

export type Input = readonly Buffer[]

export interface SavedInput {
  readonly target: string
  readonly input: Input
}

const BYTES_PER_LINE = 60

/** Text, so that it can be read, reviewed and committed: `target NAME`, notes behind `#`, and parts in hex, long ones over several lines. */
export function formatInput({ target, input }: SavedInput, notes: readonly string[]): string {
  const lines = notes.flatMap((note) => note.split('\n')).map((line) => `# ${line}`)
  lines.push(`target ${target}`)
  for (const part of input) {
    lines.push(`part ${part.length}`)
    for (let at = 0; at < part.length; at += BYTES_PER_LINE)
      lines.push(`  ${part.toString('hex', at, Math.min(part.length, at + BYTES_PER_LINE))}`)
  }
  return `${lines.join('\n')}\n`
}

/** @throws MirrorError ERR_USAGE when it is not such a file */
export function parseInput(name: string, text: string): SavedInput {
  let target = ''
  const parts: string[] = []
  for (const [i, line] of text.split('\n').entries()) {
    const [word = '', value = ''] = line.trim().split(' ')
    if (word === '' || word === '#') continue
    if (word === 'target') target = value
    else if (word === 'part') parts.push('')
    else if (/^([0-9a-f]{2})+$/.test(word) && parts.length > 0) parts.push(`${parts.pop()}${word}`)
    else
      throw new MirrorError('ERR_USAGE', `${name}:${i + 1}: expected target, part or hex, got ${JSON.stringify(line)}`)
  }
  return { target, input: parts.map((hex) => Buffer.from(hex, 'hex')) }
}

export function bytesIn(input: Input): number {
  return input.reduce((sum, part) => sum + part.length, 0)
}

/** Choices read from bytes, one byte each; where they end, every choice is the first. */
export class Choices {
  private readonly bytes: Buffer
  private at = 0

  constructor(bytes: Buffer | undefined) {
    this.bytes = bytes ?? Buffer.alloc(0)
  }

  /** An integer from 0 to `n` - 1, n at most 256. */
  below(n: number): number {
    return (this.bytes[this.at++] ?? 0) % n
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  /** Whatever was not read yet. */
  rest(): Buffer {
    return this.bytes.subarray(this.at)
  }
}
