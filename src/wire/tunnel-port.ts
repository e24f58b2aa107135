/** UDP ports by which encapsulations are recognised inside captures and inside mirrored packets. */
export const TunnelPort = { vxlan: 4789, gpe: 4790, geneve: 6081 } as const
