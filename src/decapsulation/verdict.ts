/** What became of a packet. Positive numbers are PacketDrop codes. */
export const Verdict = {
  /** An inner TCP packet stands in `view`. */
  tcp: 0,
  /** Nothing wrong, but no TCP for us: ARP, DNS, ICMP, … */
  other: -1,
  /** A fragment that waits for the rest of its datagram. */
  held: -2,
} as const
