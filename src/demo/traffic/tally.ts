/** What the sample traffic contains: counted while it is made, told beside the verdict. */

export interface Tally {
  requests: number
  connections: number
  frames: number
  /** Of the requests. */
  pipelined: number
  chunked: number
  withBody: number
  continued: number
  /** Of the TCP segments. */
  reordered: number
  duplicated: number
  overlapping: number
  oneByte: number
  probes: number
  /** Of the frames. */
  fragments: number
  ipv6: number
  vlan: number
  /** Connections whose sequence numbers pass 2^32. */
  wrapped: number
  vnis: number
  /** Frames of other protocols. */
  tlsFrames: number
  dnsFrames: number
  arpFrames: number
}

export function emptyTally(): Tally {
  return {
    requests: 0,
    connections: 0,
    frames: 0,
    pipelined: 0,
    chunked: 0,
    withBody: 0,
    continued: 0,
    reordered: 0,
    duplicated: 0,
    overlapping: 0,
    oneByte: 0,
    probes: 0,
    fragments: 0,
    ipv6: 0,
    vlan: 0,
    wrapped: 0,
    vnis: 0,
    tlsFrames: 0,
    dnsFrames: 0,
    arpFrames: 0,
  }
}
