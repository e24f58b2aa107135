/** The steering rule in plain TypeScript, from its description and with nothing of the product: the oracle of the BPF programs. */

/** Index of the socket for the payload of a mirrored datagram. */
export function steeredTo(
  format: 'vxlan' | 'gpe' | 'geneve' | 'tzsp',
  payload: Buffer,
  sockets: number,
  key: number,
  vxlanPorts: readonly number[] = [],
): number {
  try {
    return choose(format, payload, sockets, key, vxlanPorts)
  } catch (error) {
    // What ends early goes to socket 0.
    if (error instanceof RangeError) return 0
    throw error
  }
}

const TUNNELS = [4789, 8472, 4790, 6081, 2152, 3544, 6080, 37_008]

function choose(format: string, bytes: Buffer, sockets: number, key: number, vxlanPorts: readonly number[]): number {
  const frameOrPacket = unwrap(format, bytes)
  if (frameOrPacket === null) return 0
  let { at, type } = frameOrPacket
  if (type === 'ethernet') {
    let etherType = bytes.readUInt16BE(at + 12)
    at += 14
    for (let tags = 0; [0x8100, 0x88a8, 0x9100].includes(etherType) && tags < 4; tags++) {
      etherType = bytes.readUInt16BE(at + 2)
      at += 4
    }
    if (etherType !== 0x0800 && etherType !== 0x86dd) return 0
    type = etherType === 0x0800 ? 'ipv4' : 'ipv6'
  }
  const ip = type === 'ipv4' ? ipv4(bytes, at) : ipv6(bytes, at)
  if (ip === null || (ip.protocol !== 6 && ip.protocol !== 17)) return 0
  const [source, destination] = [bytes.readUInt16BE(ip.ports), bytes.readUInt16BE(ip.ports + 2)]
  const isTunnel = (port: number) => TUNNELS.includes(port) || vxlanPorts.includes(port)
  if (ip.protocol === 17 && (isTunnel(source) || isTunnel(destination))) return 0
  const both = endOf(bytes, ip.source, source, key) + endOf(bytes, ip.destination, destination, key)
  return mix(both, 0x85ebca6b) % sockets
}

function unwrap(format: string, bytes: Buffer): { at: number; type: 'ethernet' | 'ipv4' | 'ipv6' } | null {
  if (format === 'vxlan') return { at: 8, type: 'ethernet' }
  if (format === 'gpe') {
    const hasProtocol = (bytes.readUInt8(0) & 4) !== 0
    const types = { 1: 'ipv4', 2: 'ipv6', 3: 'ethernet' } as const
    const type = hasProtocol ? types[bytes.readUInt8(3) as 1 | 2 | 3] : 'ethernet'
    return type === undefined ? null : { at: 8, type }
  }
  if (format === 'tzsp') {
    if (bytes.readUInt16BE(2) !== 1) return null
    let at = 4
    for (let tags = 0; tags < 4; tags++) {
      const tag = bytes.readUInt8(at)
      if (tag === 1) return { at: at + 1, type: 'ethernet' }
      at += tag === 0 ? 1 : 2 + bytes.readUInt8(at + 1)
    }
    return null
  }
  const types = new Map([
    [0x6558, 'ethernet'],
    [0x0800, 'ipv4'],
    [0x86dd, 'ipv6'],
  ] as const)
  const type = types.get(bytes.readUInt16BE(2) as 0x0800)
  return type === undefined ? null : { at: 8 + (bytes.readUInt8(0) & 0x3f) * 4, type }
}

interface Ip {
  readonly protocol: number
  readonly ports: number
  /** Offsets of the words of each address. */
  readonly source: readonly number[]
  readonly destination: readonly number[]
}

function ipv4(bytes: Buffer, at: number): Ip | null {
  if ((bytes.readUInt16BE(at + 6) & 0x3fff) !== 0) return null
  const ports = at + (bytes.readUInt8(at) & 15) * 4
  return { protocol: bytes.readUInt8(at + 9), ports, source: [at + 12], destination: [at + 16] }
}

function ipv6(bytes: Buffer, at: number): Ip | null {
  let protocol = bytes.readUInt8(at + 6)
  let p = at + 40
  for (let headers = 0; headers < 4; headers++) {
    const isAuthentication = protocol === 51
    if (!isAuthentication && ![0, 43, 60, 135, 139, 140].includes(protocol)) break
    const length = bytes.readUInt8(p + 1)
    protocol = bytes.readUInt8(p)
    p += isAuthentication ? (length + 2) * 4 : (length + 1) * 8
  }
  const words = (from: number) => [0, 4, 8, 12].map((word) => from + word)
  return { protocol, ports: p, source: words(at + 8), destination: words(at + 24) }
}

function endOf(bytes: Buffer, words: readonly number[], port: number, key: number): number {
  const address = words.reduce((hash, at) => mix(hash ^ bytes.readUInt32BE(at), 0x85ebca6b), key)
  return mix(address + Math.imul(port, 0x9e3779b1), 0xc2b2ae35)
}

function mix(value: number, multiplier: number): number {
  const product = Math.imul(value, multiplier) >>> 0
  return (product ^ (product >>> 16)) >>> 0
}
