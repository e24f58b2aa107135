/** What was refused, as numbers that fit a table of passed-over.ts, and back as people read it. */

/** How a mirrored datagram may begin; the first four can be asked for in --listen. */
export const FORMATS = ['vxlan', 'gpe', 'geneve', 'tzsp', 'gre', 'gtpu', 'ethernet', 'ip', 'unknown'] as const
export type FormatName = (typeof FORMATS)[number]

export const FORMAT_NAMES: Readonly<Record<FormatName, string>> = {
  vxlan: 'VXLAN',
  gpe: 'VXLAN-GPE',
  geneve: 'GENEVE',
  tzsp: 'TZSP',
  gre: 'GRE in UDP',
  gtpu: 'GTP-U',
  ethernet: 'Ethernet frames without a tunnel header',
  ip: 'IP packets without a tunnel header',
  unknown: 'of no format that is known',
}

/** Above every IPv4 address and above 48 bits of an IPv6 one. */
const IPV6 = 2 ** 48

/** @param vni -1: none. A number of a table is 0 or more. */
export function vniNumber(vni: number): number {
  return vni + 1
}

export function vniText(number: number): string {
  return number === 0 ? 'none' : String(number - 1)
}

/** An IPv4 address whole; of an IPv6 one the first 48 bits, which name a site. @param words big-endian, signed */
export function sourceNumber(family: number, word0: number, word1: number): number {
  return family === 4 ? word0 >>> 0 : IPV6 + (word0 >>> 0) * 0x10000 + (word1 >>> 16)
}

/** `10.0.0.1`, or `2001:db8:1::/48`. */
export function sourceText(number: number): string {
  if (number < IPV6) return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
  const site = number - IPV6
  const groups = [site / 2 ** 32, (site / 2 ** 16) % 2 ** 16, site % 2 ** 16].map((group) =>
    Math.floor(group).toString(16),
  )
  return `${groups.join(':')}::/48`
}

/** @param expected the format of the socket @param found what the datagram looks like */
export function formatNumber(expected: FormatName, found: FormatName): number {
  return FORMATS.indexOf(expected) * FORMATS.length + FORMATS.indexOf(found)
}

/** `geneve for vxlan`: what came, for what was expected. */
export function formatText(number: number): string {
  return `${FORMATS[number % FORMATS.length]} for ${FORMATS[Math.floor(number / FORMATS.length)]}`
}
