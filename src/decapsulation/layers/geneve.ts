/** GENEVE (RFC 8926); its header is drawn in wire/geneve.ts. */
import { PacketDrop } from '../../base/drop.ts'
import { Counter } from '../../metrics/counters.ts'
import { u16, u24 } from '../../wire/bytes.ts'
import { EtherType } from '../../wire/ethernet.ts'
import {
  GENEVE_CLASS_AWS,
  GENEVE_CLASS_GOOGLE,
  GENEVE_FLAG_CONTROL,
  GENEVE_HEADER_LEN,
  GENEVE_OPTION_CRITICAL,
  GENEVE_OPTION_HEADER_LEN,
  GENEVE_PROTOCOL,
  GENEVE_VNI,
  geneveOptionClass,
  geneveOptionLength,
  geneveOptionsLength,
} from '../../wire/geneve.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

export function geneve(c: Cursor): number {
  const { bytes, at, end } = c
  if (c.left < GENEVE_HEADER_LEN) return c.finish(PacketDrop.geneveTruncated)
  if (bytes[at]! >> 6 !== 0) return c.finish(PacketDrop.geneveVersion)
  if ((bytes[at + 1]! & GENEVE_FLAG_CONTROL) !== 0) return c.finish(PacketDrop.geneveControl)
  const optionsEnd = at + GENEVE_HEADER_LEN + geneveOptionsLength(bytes, at)
  if (optionsEnd > end) return c.finish(PacketDrop.geneveTruncated)
  let p = at + GENEVE_HEADER_LEN
  while (p < optionsEnd) {
    if (optionsEnd - p < GENEVE_OPTION_HEADER_LEN) return c.finish(PacketDrop.geneveOptions)
    const optionClass = geneveOptionClass(bytes, p)
    const isKnown = optionClass === GENEVE_CLASS_AWS || optionClass === GENEVE_CLASS_GOOGLE
    if ((bytes[p + 2]! & GENEVE_OPTION_CRITICAL) !== 0 && !isKnown) c.counters.add(Counter.geneveCriticalOptions)
    p += geneveOptionLength(bytes, p)
  }
  if (p !== optionsEnd) return c.finish(PacketDrop.geneveOptions)
  c.inVni(u24(bytes, at + GENEVE_VNI))
  c.at = optionsEnd
  switch (u16(bytes, at + GENEVE_PROTOCOL)) {
    case EtherType.transparentEthernet:
      return Layer.ethernet
    case EtherType.ipv4:
      return Layer.ipv4
    case EtherType.ipv6:
      return Layer.ipv6
    default:
      return c.finish(PacketDrop.geneveProtocol)
  }
}
