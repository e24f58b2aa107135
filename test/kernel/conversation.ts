/**
 * What a client says in a scenario, twice: the honest bytes, and a forged copy of the same length and structure. They differ only in
 * tokens (parts of targets, values, bodies) whose alphabets have no letter in common: any mixture of the two is HTTP again, and each
 * byte of it tells which copy it came from.
 */
import type { Random } from '../../src/demo/traffic/random.ts'

const HONEST = '0123456789abcdef'
const FORGED = 'ghijklmnopqrstuv'

export interface Conversation {
  readonly honest: Buffer
  readonly forged: Buffer
  /** Where each request ends, offsets in the stream. */
  readonly ends: readonly number[]
  readonly methods: readonly string[]
}

type Token = (length: number) => string

export function makeConversation(random: Random, requests: number): Conversation {
  const parts = Array.from({ length: requests }, () => makeRequest(random))
  const ends: number[] = []
  let end = 0
  for (const { honest } of parts) {
    end += honest.length
    ends.push(end)
  }
  return {
    honest: Buffer.concat(parts.map((p) => p.honest)),
    forged: Buffer.concat(parts.map((p) => p.forged)),
    ends,
    methods: parts.map((p) => p.method),
  }
}

function makeRequest(random: Random): { honest: Buffer; forged: Buffer; method: string } {
  const method = random.pick(['GET', 'GET', 'GET', 'POST', 'POST', 'PUT', 'HEAD', 'DELETE'])
  const hasBody = method === 'POST' || method === 'PUT'
  const size = hasBody ? random.pick([0, 1, 20, 300, 3000]) + random.below(50) : 0
  const chunks = hasBody && random.chance(0.4) ? cutInto(random, size) : null
  const extra = random.below(4)
  const drawn: number[] = []
  const render = (alphabet: string, draw: () => number): Buffer => {
    const token: Token = (length) => {
      let text = ''
      for (let i = 0; i < length; i++) text += alphabet[draw()]!
      return text
    }
    const lines = [
      `${method} /${token(8)}/${token(4)}?q=${token(6)} HTTP/1.1`,
      'Host: origin.test',
      `X-Token: ${token(16)}`,
    ]
    for (let i = 0; i < extra; i++) lines.push(`X-Extra-${i}: ${token(12)}`)
    if (chunks !== null) {
      lines.push('Transfer-Encoding: chunked', '', '')
      const body = chunks.map((n) => `${n.toString(16)}\r\n${token(n)}\r\n`).join('')
      return Buffer.from(`${lines.join('\r\n')}${body}0\r\n\r\n`, 'latin1')
    }
    if (hasBody) lines.push(`Content-Length: ${size}`)
    lines.push('', '')
    return Buffer.from(lines.join('\r\n') + token(size), 'latin1')
  }
  const honest = render(HONEST, () => {
    const n = random.below(16)
    drawn.push(n)
    return n
  })
  let at = 0
  return { honest, forged: render(FORGED, () => drawn[at++]!), method }
}

function cutInto(random: Random, size: number): number[] {
  const chunks: number[] = []
  for (let left = size; left > 0; ) {
    const n = random.between(1, left)
    chunks.push(n)
    left -= n
  }
  return chunks
}
