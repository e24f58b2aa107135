/** Link layers: Ethernet II and 802.3/SNAP, VLAN tags, Linux cooked captures, BSD loopback. Offsets in bytes from the start of each header. */

export const ETHERNET_HEADER_LEN = 14
export const ETHERNET_TYPE = 12
export const VLAN_TAG_LEN = 4
/** Type of what follows, from the start of a VLAN tag's own type field. */
export const VLAN_NEXT_TYPE = 4

/** Largest value of the type field that is a length (IEEE 802.3): LLC follows. */
export const ETHERNET_MAX_LENGTH = 1500
export const SNAP_HEADER_LEN = 8

export const EtherType = {
  ipv4: 0x0800,
  ipv6: 0x86dd,
  vlan: 0x8100,
  serviceVlan: 0x88a8,
  oldServiceVlan: 0x9100,
  transparentEthernet: 0x6558,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
  pppoeSession: 0x8864,
  erspan: 0x88be,
  erspan3: 0x22eb,
} as const

/** Link-layer header types of capture files (the LINKTYPE_ registry of libpcap), as far as they are read. */
export const LinkType = {
  null: 0,
  ethernet: 1,
  /** LINKTYPE_RAW's numbers in use: 101, and DLT_RAW as systems wrote it to files, 12 and 14. */
  rawBsd: 12,
  rawOpenBsd: 14,
  raw: 101,
  loop: 108,
  linuxSll: 113,
  ipv4: 228,
  ipv6: 229,
  linuxSll2: 276,
} as const

/** Linux cooked capture v1: packet type, ARPHRD, address length, address[8], protocol. */
export const SLL_HEADER_LEN = 16
export const SLL_PROTOCOL = 14
/** Linux cooked capture v2: protocol, reserved, interface index, ARPHRD, packet type, address length, address[8]. */
export const SLL2_HEADER_LEN = 20
export const SLL2_PROTOCOL = 0
/** BSD loopback: an address family in the byte order of the capturing host. */
export const NULL_HEADER_LEN = 4
