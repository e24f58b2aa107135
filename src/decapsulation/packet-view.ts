/** The inner packet of a mirrored one: what decapsulation finds, dispatch hands over and reassembly reads. Reused, never kept. */
export class PacketView {
  /** Holds the packet; borrowed from whoever filled the view. */
  bytes: Buffer
  /** Start of the innermost IP header. */
  ipAt = 0
  /** 4 or 6. */
  ipVersion = 4
  /** Start of the TCP header; the fixed 20 bytes are present. */
  tcpAt = 0
  /** End of the bytes that are present, padding excluded. */
  end = 0
  /** End as the IP header states it; beyond `end` where the mirror or the capture cut the packet. */
  trueEnd = 0
  /** VNI of the innermost tunnel that has one, else -1. */
  vni = -1
  /** Number of the network: made of the VNI and the VLAN identifiers of the innermost frame, int32; 0 where there is neither. */
  network = 0
  /** Symmetric hash of the five-tuple (set by dispatch): the same for both directions. */
  hash = 0
  /** Time of the packet, microseconds since the Unix epoch. */
  timeUs = 0
  /** Latest packet time so far over all flows: never goes back, drives every protocol timer. */
  nowUs = 0

  constructor() {
    this.bytes = EMPTY
  }
}

const EMPTY = Buffer.alloc(0)
