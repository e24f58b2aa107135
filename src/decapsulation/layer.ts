/** Protocols that a packet's headers can begin with or come to: indices of the table in steps.ts. */
export const Layer = {
  /** No further header: the verdict stands in the cursor. */
  done: -1,
  ethernet: 0,
  vlan: 1,
  llc: 2,
  ip: 3,
  ipv4: 4,
  ipv6: 5,
  tcp: 6,
  udp: 7,
  vxlan: 8,
  gpe: 9,
  geneve: 10,
  gre: 11,
  mpls: 12,
  pppoe: 13,
  linuxSll: 14,
  linuxSll2: 15,
  loopback: 16,
} as const

export type LayerName = Exclude<keyof typeof Layer, 'done'>
