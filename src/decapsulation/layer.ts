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
  vxlan: 6,
  gpe: 7,
  geneve: 8,
  gre: 9,
  mpls: 10,
  pppoe: 11,
  linuxSll: 12,
  linuxSll2: 13,
  loopback: 14,
} as const

export type LayerName = Exclude<keyof typeof Layer, 'done'>
