/** What an EtherType says follows. GRE and GENEVE use the same numbers. */
import { PassedOver } from '../../metrics/passed-over.ts'
import { ETHERNET_MAX_LENGTH, EtherType } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { ipv4 } from './ipv4.ts'
import { ipv6 } from './ipv6.ts'

/** The cursor stands after the type. */
export function byEtherType(c: Cursor, type: number): number {
  switch (type) {
    case EtherType.ipv4:
      // Called, not looked up in the table: nearly all packets take this way.
      return ipv4(c)
    case EtherType.ipv6:
      return ipv6(c)
    case EtherType.vlan:
    case EtherType.serviceVlan:
    case EtherType.oldServiceVlan:
      return Layer.vlan
    case EtherType.mpls:
    case EtherType.mplsMulticast:
      return Layer.mpls
    case EtherType.pppoeSession:
      return Layer.pppoe
    case EtherType.transparentEthernet:
      return c.frameInside()
    case EtherType.vnTag:
      return Layer.vnTag
    case EtherType.eTag:
      return Layer.eTag
    case EtherType.ciscoMetadata:
      return Layer.ciscoMetadata
    case EtherType.ciscoTimestamp:
      return Layer.ciscoTimestamp
    case EtherType.providerBackbone:
      return Layer.providerBackbone
    default:
      return type <= ETHERNET_MAX_LENGTH ? Layer.llc : c.passOver(PassedOver.etherType, type)
  }
}

/** Whether the type is one of those above. */
export function isRead(type: number): boolean {
  return READ.has(type)
}

const READ: ReadonlySet<number> = new Set(
  Object.values(EtherType).filter((type) => type !== EtherType.erspan && type !== EtherType.erspan3),
)
