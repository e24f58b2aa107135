/** --percent and --sample-by: which share of the requests is replayed. */
import type { ConnectionFacts } from '../../exchange/connection.ts'
import type { MessageView } from '../../exchange/message.ts'

/**
 * What a decision is bound to. Requests that agree in it are all kept or all left out, in every process and every run;
 * `random` decides each request for itself. With `header:NAME` a request that lacks the header is decided by its connection.
 */
export type SampleBy = 'random' | 'connection' | 'client' | `header:${string}`

export class Sampler {
  private readonly threshold: number
  private readonly by: SampleBy
  /** Lower case; empty unless sampling by header. */
  private readonly headerName: string
  private readonly random: () => number

  /**
   * @param percent 0 to 100, fractions allowed
   * @param random uniform in [0, 1)
   */
  constructor(percent: number, by: SampleBy, random: () => number) {
    this.threshold = (percent / 100) * 2 ** 32
    this.by = by
    this.headerName = by.startsWith('header:') ? by.slice('header:'.length).toLowerCase() : ''
    this.random = random
  }

  keeps(message: MessageView, connection: ConnectionFacts): boolean {
    if (this.threshold >= 2 ** 32) return true
    if (this.by === 'random') return this.random() * 2 ** 32 < this.threshold
    return mix(this.keyOf(message, connection)) < this.threshold
  }

  private keyOf(message: MessageView, connection: ConnectionFacts): number {
    if (this.by === 'client') return connection.clientHash
    if (this.headerName !== '') {
      for (let i = 0; i < message.fieldCount; i++) {
        if (message.fieldName(i).toLowerCase() === this.headerName) return hashOf(message.fieldValue(i))
      }
    }
    return connection.flowHash
  }
}

/** FNV-1a over the characters of latin-1 text, that is over the captured bytes. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/**
 * Spreads a 32-bit hash over all its bits (finaliser of MurmurHash3): the threshold looks at the high ones, and keys that
 * differ in one character must not land side by side.
 */
function mix(hash: number): number {
  let h = hash | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
