/** Ethernet II and IEEE 802.3 frames, and the EtherTypes that are read. Offsets in bytes from the start of each header. */

export const ETHERNET_HEADER_LEN = 14
export const ETHERNET_TYPE = 12
export const VLAN_TAG_LEN = 4

/** Largest value of the type field that is a length (IEEE 802.3): LLC follows. */
export const ETHERNET_MAX_LENGTH = 1500

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
  /** Tags between the addresses and the type of the packet (decapsulation/layers/frame-tags.ts). */
  vnTag: 0x8926,
  eTag: 0x893f,
  ciscoMetadata: 0x8909,
  ciscoTimestamp: 0x8988,
  /** IEEE 802.1ah: a whole frame follows. */
  providerBackbone: 0x88e7,
} as const
