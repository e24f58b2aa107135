/** The layer that a capture's link type begins with. */
import { LinkType } from '../../wire/link-type.ts'
import { Layer } from '../layer.ts'

/** Layer.done: the link type is not read. */
export function layerOfLinkType(linkType: number): number {
  switch (linkType) {
    case LinkType.ethernet:
      return Layer.ethernet
    case LinkType.raw:
    case LinkType.rawBsd:
    case LinkType.rawOpenBsd:
      return Layer.ip
    case LinkType.ipv4:
      return Layer.ipv4
    case LinkType.ipv6:
      return Layer.ipv6
    case LinkType.linuxSll:
      return Layer.linuxSll
    case LinkType.linuxSll2:
      return Layer.linuxSll2
    case LinkType.ppp:
    case LinkType.pppHdlc:
    case LinkType.pppPppd:
      return Layer.ppp
    case LinkType.pppWithDirection:
      return Layer.pppWithDirection
    case LinkType.pppEther:
      return Layer.pppoe
    case LinkType.cHdlc:
      return Layer.cHdlc
    case LinkType.wifi:
      return Layer.wifi
    case LinkType.radiotap:
      return Layer.radiotap
    case LinkType.nflog:
      return Layer.nflog
    case LinkType.arcnetLinux:
      return Layer.arcnet
    case LinkType.null:
    case LinkType.loop:
      return Layer.loopback
    default:
      return Layer.done
  }
}
