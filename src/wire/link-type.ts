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
