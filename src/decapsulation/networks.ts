/** Lists of networks as masks, for the hot path: which outer sources may mirror to us. */

export interface Network {
  readonly family: 4 | 6
  /** Address in big-endian words: one for IPv4, four for IPv6. */
  readonly words: readonly number[]
  readonly prefixLength: number
}

/** Null: any network. */
export function networkListOf(networks: readonly Network[] | null): NetworkList | null {
  return networks === null ? null : new NetworkList(networks)
}

/** Membership test without allocation. Empty list: nothing is a member. */
export class NetworkList {
  private readonly ipv4: Int32Array
  private readonly ipv6: Int32Array

  constructor(networks: readonly Network[]) {
    // Per network: masked address words, then mask words.
    this.ipv4 = Int32Array.from(networks.filter((n) => n.family === 4).flatMap((n) => maskedWords(n, 1)))
    this.ipv6 = Int32Array.from(networks.filter((n) => n.family === 6).flatMap((n) => maskedWords(n, 4)))
  }

  hasIpv4(address: number): boolean {
    const list = this.ipv4
    for (let i = 0; i < list.length; i += 2) if ((address & list[i + 1]!) === list[i]!) return true
    return false
  }

  hasIpv6(w0: number, w1: number, w2: number, w3: number): boolean {
    const list = this.ipv6
    for (let i = 0; i < list.length; i += 8) {
      const same =
        (w0 & list[i + 4]!) === list[i]! &&
        (w1 & list[i + 5]!) === list[i + 1]! &&
        (w2 & list[i + 6]!) === list[i + 2]! &&
        (w3 & list[i + 7]!) === list[i + 3]!
      if (same) return true
    }
    return false
  }
}

function maskedWords(network: Network, count: number): number[] {
  const masks = Array.from({ length: count }, (_, i) => {
    const bits = Math.min(32, Math.max(0, network.prefixLength - 32 * i))
    return bits === 0 ? 0 : (-1 << (32 - bits)) | 0
  })
  return [...masks.map((mask, i) => (network.words[i]! & mask) | 0), ...masks]
}
