/** Facts of one connection, in memory of their own: made from the flow table when its first message comes, or from a record. */
import type { FlowTable } from '../flow/flow-table.ts'
import { type ConnectionFacts, type ConnectionHandle, handleOf, type NamedEnd } from './connection.ts'

export class CapturedConnection implements ConnectionFacts {
  readonly handle: ConnectionHandle
  readonly ipVersion: number
  readonly clientWords: ArrayLike<number>
  readonly serverWords: ArrayLike<number>
  readonly clientPort: number
  readonly serverPort: number
  readonly vni: number | null
  namedClient: NamedEnd | null = null
  namedServer: NamedEnd | null = null
  private clientText = ''
  private serverText = ''

  /** @param clientWords four 32-bit words, IPv4 in the first */
  constructor(
    handle: ConnectionHandle,
    ipVersion: number,
    clientWords: ArrayLike<number>,
    clientPort: number,
    serverWords: ArrayLike<number>,
    serverPort: number,
    vni: number | null,
  ) {
    this.handle = handle
    this.ipVersion = ipVersion
    this.clientWords = clientWords
    this.clientPort = clientPort
    this.serverWords = serverWords
    this.serverPort = serverPort
    this.vni = vni
  }

  /** With a handle of its own, new at each call. @param clientDirection 0 or 1: the direction of the flow that its client sends in */
  static ofFlow(table: FlowTable, slot: number, clientDirection: number): CapturedConnection {
    const vni = table.vni[slot]!
    return new CapturedConnection(
      handleOf(slot, table.newGeneration(slot)),
      table.ipVersion[slot]!,
      table.addressOf(slot, clientDirection),
      table.portOf(slot, clientDirection),
      table.addressOf(slot, clientDirection ^ 1),
      table.portOf(slot, clientDirection ^ 1),
      vni < 0 ? null : vni,
    )
  }

  get clientAddress(): string {
    this.clientText ||= addressText(this.clientWords, this.ipVersion)
    return this.clientText
  }

  get serverAddress(): string {
    this.serverText ||= addressText(this.serverWords, this.ipVersion)
    return this.serverText
  }

  get clientHash(): number {
    return fold(2166136261, this.clientWords)
  }

  get flowHash(): number {
    return fold(fold(this.clientHash, this.serverWords), [this.clientPort, this.serverPort])
  }
}

/** FNV-1a over 32-bit words, finished so that every bit of the input reaches every bit of the result. Unsigned. */
function fold(seed: number, words: ArrayLike<number>): number {
  let h = seed
  for (let i = 0; i < words.length; i++) {
    h = Math.imul(h ^ words[i]!, 16777619)
    h ^= h >>> 15
  }
  h = Math.imul(h, 0x85ebca6b)
  return (h ^ (h >>> 13)) >>> 0
}

/** Dotted IPv4, or IPv6 as RFC 5952 writes it (lower case, longest run of zeros shortened). */
export function addressText(words: ArrayLike<number>, ipVersion: number): string {
  if (ipVersion === 4) {
    const w = words[0]!
    return `${w >>> 24}.${(w >>> 16) & 255}.${(w >>> 8) & 255}.${w & 255}`
  }
  const groups: number[] = []
  for (let i = 0; i < 4; i++) groups.push(words[i]! >>> 16, words[i]! & 0xffff)
  let bestAt = -1
  let bestLength = 1
  for (let i = 0; i < 8; i++) {
    let length = 0
    while (i + length < 8 && groups[i + length] === 0) length++
    if (length > bestLength) {
      bestAt = i
      bestLength = length
    }
  }
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(':')
  return bestAt < 0 ? text(0, 8) : `${text(0, bestAt)}::${text(bestAt + bestLength, 8)}`
}

/** `address:port`, IPv6 in brackets. */
export function endpointText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
