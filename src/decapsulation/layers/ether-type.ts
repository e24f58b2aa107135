/** What an EtherType says follows. GRE and GENEVE use the same numbers. */
import { ETHERNET_MAX_LENGTH, EtherType } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { Verdict } from '../verdict.ts'

/** The cursor stands behind the type. */
export function byEtherType(c: Cursor, type: number): number {
  switch (type) {
    case EtherType.ipv4:
      return Layer.ipv4
    case EtherType.ipv6:
      return Layer.ipv6
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
      return Layer.ethernet
    default:
      return type <= ETHERNET_MAX_LENGTH ? Layer.llc : c.finish(Verdict.other)
  }
}
