/** Link-layer header types of capture files (the LINKTYPE_ registry of libpcap), as far as they are read. */
export const LinkType = {
  null: 0,
  ethernet: 1,
  ppp: 9,
  /** LINKTYPE_RAW's numbers in use: 101, and DLT_RAW as systems wrote it to files, 12 and 14. */
  rawBsd: 12,
  rawOpenBsd: 14,
  pppHdlc: 50,
  pppEther: 51,
  raw: 101,
  cHdlc: 104,
  wifi: 105,
  loop: 108,
  linuxSll: 113,
  radiotap: 127,
  arcnetLinux: 129,
  pppPppd: 166,
  pppWithDirection: 204,
  ipv4: 228,
  ipv6: 229,
  nflog: 239,
  linuxSll2: 276,
} as const
