/** UDP ports by which encapsulations are recognised inside captures and inside mirrored packets. */
export const TunnelPort = {
  vxlan: 4789,
  /** Linux's own default, and what overlay networks took from it. */
  linuxVxlan: 8472,
  gpe: 4790,
  geneve: 6081,
  gtpu: 2152,
  teredo: 3544,
  gue: 6080,
  tzsp: 37_008,
} as const
