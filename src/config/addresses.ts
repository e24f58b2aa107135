/** Network values of the configuration: addresses to listen on, networks to accept, the origin to replay to. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Refusal } from './refusal.ts'
import { withoutUserinfo } from './userinfo.ts'

export interface HostPort {
  /** An IP address, IPv6 without brackets. */
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
}

export const ENCAPSULATIONS = ['vxlan', 'gpe', 'geneve', 'tzsp'] as const
export type Encapsulation = (typeof ENCAPSULATIONS)[number]
export interface Listen extends HostPort {
  readonly format: Encapsulation
}

/** UDP ports whose encapsulation is known: IANA's for VXLAN (RFC 7348), VXLAN-GPE and GENEVE (RFC 8926), and the one that TZSP is sent to. */
const FORMAT_BY_PORT: Readonly<Record<number, Encapsulation>> = {
  4789: 'vxlan',
  4790: 'gpe',
  6081: 'geneve',
  37008: 'tzsp',
}

/** A network in CIDR notation, ready to be compared with addresses held as words. */
export interface Cidr {
  /** As a person reads it, host bits zeroed: `10.0.0.0/8`. */
  readonly text: string
  readonly family: 4 | 6
  /** Big-endian signed 32-bit words of the network address: one for IPv4, four for IPv6. Host bits are zero. */
  readonly words: readonly number[]
  readonly prefixLength: number
}

/** HOST:PORT with an IPv6 host in brackets. */
export function parseHostPort(text: string): HostPort | Refusal {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):([^:\]]*)$/.exec(text)
  if (match === null) {
    if (isIP(text) === 6) return new Refusal('an IPv6 address stands in brackets, as in [::1]:4789')
    return new Refusal(isIP(text) === 4 ? 'the port is missing' : 'it is not of the form HOST:PORT')
  }
  const port = Number(match[3])
  if (!/^\d{1,5}$/.test(match[3]!) || port > 65_535)
    return new Refusal(`the port must be 0 to 65535, not "${match[3]}"`)
  const host = match[1] ?? (match[2] === 'localhost' ? '127.0.0.1' : match[2]!)
  // An address that is looked up may name another machine tomorrow; what is bound should be readable from the configuration.
  if (isIP(host) !== (match[1] === undefined ? 4 : 6)) {
    return new Refusal(
      host === '' ? 'the address is missing; 0.0.0.0 is every IPv4 address' : `"${host}" is not an IP address`,
    )
  }
  return { host, port }
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** [vxlan:|gpe:|geneve:|tzsp:]HOST:PORT; without a format, the one the port stands for, VXLAN for any other port. */
export function parseListen(text: string): Listen | Refusal {
  const prefix = /^([a-z][a-z-]*):(?=.*:)/i.exec(text)
  const named = prefix?.[1]?.toLowerCase()
  const address = parseHostPort(prefix === null || named === 'localhost' ? text : text.slice(prefix[0].length))
  if (named !== undefined && named !== 'localhost' && !isEncapsulation(named)) {
    return new Refusal(`"${named}" is not a format that is read (${ENCAPSULATIONS.join(', ')})`)
  }
  if (address instanceof Refusal) return address
  const format = named !== undefined && isEncapsulation(named) ? named : (FORMAT_BY_PORT[address.port] ?? 'vxlan')
  return { format, ...address }
}

function isEncapsulation(name: string): name is Encapsulation {
  return (ENCAPSULATIONS as readonly string[]).includes(name)
}

/** Whether only this machine reaches an IP address. */
export function isLoopback(host: string): boolean {
  return ipaddr.process(host).range() === 'loopback'
}

/** A name or address as it stands in a Host header, without a port; in lower case, IPv6 without brackets. */
export function parseHostName(text: string): string | Refusal {
  const bare = text.replace(/^\[(.*)\]$/, '$1')
  if (isIP(bare) !== 0) return bare.toLowerCase()
  if (text.includes('*'))
    return new Refusal('each name is spelled out: a pattern would let names in that others control')
  if (/:\d+$/.test(text)) return new Refusal('it is the name alone, without a port')
  // RFC 1123 section 2.1; the underscore is not in it, but in names of services.
  const isName = text.length <= 253 && /^[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*$/i.test(text)
  return isName ? text.toLowerCase() : new Refusal('')
}

/** A name for SNI (RFC 6066 section 3): a DNS name, no address. */
export function parseServerName(text: string): string | Refusal {
  const name = parseHostName(text)
  if (name instanceof Refusal) return name
  return isIP(name) === 0 ? name : new Refusal('an address is no server name (RFC 6066 section 3)')
}

/** ADDRESS/LENGTH, or an address alone for that one host. Host bits are ignored, as routers do. */
export function parseCidr(text: string): Cidr | Refusal {
  const [address = '', length, ...rest] = text.trim().split('/')
  const family = isIP(address)
  if ((family !== 4 && family !== 6) || address.includes('%')) return new Refusal(`"${address}" is not an IP address`)
  const bits = family === 4 ? 32 : 128
  const prefixLength = length === undefined ? bits : Number(length)
  if (rest.length > 0 || !/^\d{1,3}$/.test(length ?? '0') || prefixLength > bits) {
    return new Refusal(`the prefix length of an IPv${family} network is 0 to ${bits}`)
  }
  const bytes = ipaddr.parse(address).toByteArray()
  for (let bit = prefixLength; bit < bits; bit++) bytes[bit >> 3]! &= ~(0x80 >> (bit & 7))
  const words: number[] = []
  for (let at = 0; at < bytes.length; at += 4) {
    words.push((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
  }
  return { text: `${ipaddr.fromByteArray(bytes).toString()}/${prefixLength}`, family, words, prefixLength }
}

/** An http or https origin: scheme, host and port and nothing else, or the word `null`. */
export function parseOrigin(text: string): URL | null | Refusal {
  if (text === 'null') return null
  if (!/^https?:\/\//i.test(text)) {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)
    if (scheme !== null) return new Refusal(`the scheme must be http or https, not ${scheme[1]}`)
    return new Refusal(
      text === ''
        ? 'it is empty'
        : `it must begin with http:// or https://, as in http://${withoutUserinfo(text.replace(/^\/+/, ''))}`,
    )
  }
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return new Refusal('it is not a URL')
  }
  const extra = [
    url.username !== '' || url.password !== '' ? 'user and password' : '',
    // After a slash in a password everything looks like a path.
    url.pathname !== '/' ? `the path ${url.pathname.replace(/.*@/, '…@')}` : '',
    text.includes('?') ? 'the query' : '',
    text.includes('#') ? 'the fragment' : '',
  ].filter((part) => part !== '')
  if (extra.length > 0) {
    return new Refusal(
      `the target of each request is sent as captured, so the origin is scheme, host and port only: remove ${extra.join(', ')}`,
    )
  }
  return url
}
