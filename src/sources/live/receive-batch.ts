/*
 * The memory recvmmsg fills: one batch of slots, shared by all sockets of a receiver.
 *
 *  arena     slot i at i x stride: 2 bytes unused, then the payload. A stride is a multiple of 64 and no power of two, so the
 *            first lines of the slots do not all compete for the same cache set. Payload at slot + 2: after VXLAN (8) and
 *            Ethernet (14) the inner IP header then starts on a 4-byte boundary.
 *  names     the sender's sockaddr, 32 bytes each
 *  vectors   struct iovec, 16 bytes each: base u64, length u64
 *  headers   struct mmsghdr, 64 bytes each (64-bit Linux):
 *              0 name u64   8 namelen u32   16 iov u64   24 iovlen u64   32 control u64   40 controllen u64   48 flags i32   56 msg_len u32
 *
 *  controls  where times of arrival are asked for: one control message, 32 bytes each (SO_TIMESTAMPNS):
 *              0 length u64   8 level i32   12 type i32   16 seconds i64   24 nanoseconds i64
 *
 * All of them lie in SharedArrayBuffers: that memory never moves, and it is this object that keeps it alive. koffi's addresses
 * do not (a collected arena shows as EFAULT, or as packets written into somebody else's memory): hold this object for as
 * long as any socket is read into it.
 */
import type { PeerAddress } from '../datagram-receiver.ts'
import type { Libc } from './libc.ts'
import { readPeer, SOCKADDR_IN6_LEN } from './socket-address.ts'
import { SO_TIMESTAMPNS } from './udp-socket.ts'

const PAYLOAD_IN_SLOT = 2
const NAME_STRIDE = 32
const CACHE_LINE = 64

/** Words (u32) and double words (u64) of one mmsghdr, by the table above. */
const HEADER_WORDS = 16
const NAMELEN_WORD = 2
const FLAGS_WORD = 12
const MSG_LEN_WORD = 14
const HEADER_DWORDS = 8
const NAME_DWORD = 0
const IOV_DWORD = 2
const IOVLEN_DWORD = 3
const CONTROL_DWORD = 4
const CONTROLLEN_WORD = 10

/** Words (u32) of a control message. */
const CONTROL_WORDS = 8
const CONTROL_TYPE_WORD = 3
const SECONDS_WORD = 4
const NANOSECONDS_WORD = 6

/** In msg_flags: the datagram was longer than its slot. */
const MSG_TRUNC = 0x20

export class ReceiveBatch {
  readonly slots: number
  /** The arena; payloads are borrowed from it. */
  readonly bytes: Buffer
  /** Address of the mmsghdr array, for recvmmsg. */
  readonly headersAddress: number
  private readonly stride: number
  private readonly names: Uint8Array
  private readonly vectors: BigUint64Array
  private readonly headers: Uint32Array
  private readonly controls: Uint32Array | null

  /** @param datagramBytes longest payload taken whole */
  constructor(libc: Libc, slots: number, datagramBytes: number, withTimes: boolean) {
    this.slots = slots
    this.stride = (Math.ceil((PAYLOAD_IN_SLOT + datagramBytes) / CACHE_LINE) | 1) * CACHE_LINE
    this.bytes = Buffer.from(new SharedArrayBuffer(slots * this.stride))
    this.names = new Uint8Array(new SharedArrayBuffer(slots * NAME_STRIDE))
    this.vectors = new BigUint64Array(new SharedArrayBuffer(slots * 16))
    this.headers = new Uint32Array(new SharedArrayBuffer(slots * HEADER_WORDS * 4))
    this.controls = withTimes ? new Uint32Array(new SharedArrayBuffer(slots * CONTROL_WORDS * 4)) : null
    this.headersAddress = libc.address(this.headers)

    const pointers = new BigUint64Array(this.headers.buffer)
    const arenaAddress = libc.address(this.bytes)
    const namesAddress = libc.address(this.names)
    const vectorsAddress = libc.address(this.vectors)
    const controlsAddress = this.controls === null ? 0 : libc.address(this.controls)
    for (let i = 0; i < slots; i++) {
      this.vectors[i * 2] = BigInt(arenaAddress + this.payloadAt(i))
      this.vectors[i * 2 + 1] = BigInt(datagramBytes)
      pointers[i * HEADER_DWORDS + NAME_DWORD] = BigInt(namesAddress + i * NAME_STRIDE)
      pointers[i * HEADER_DWORDS + IOV_DWORD] = BigInt(vectorsAddress + i * 16)
      pointers[i * HEADER_DWORDS + IOVLEN_DWORD] = 1n
      if (controlsAddress !== 0)
        pointers[i * HEADER_DWORDS + CONTROL_DWORD] = BigInt(controlsAddress + i * CONTROL_WORDS * 4)
      this.rearm(i)
    }
  }

  payloadAt(i: number): number {
    return i * this.stride + PAYLOAD_IN_SLOT
  }

  payloadLength(i: number): number {
    return this.headers[i * HEADER_WORDS + MSG_LEN_WORD]!
  }

  isTruncated(i: number): boolean {
    return (this.headers[i * HEADER_WORDS + FLAGS_WORD]! & MSG_TRUNC) !== 0
  }

  readPeer(i: number, peer: PeerAddress): void {
    readPeer(this.names, i * NAME_STRIDE, peer)
  }

  /** When the datagram arrived, microseconds of the wall clock; NaN where the kernel does not say or was not asked. */
  arrivalUs(i: number): number {
    const { controls } = this
    const at = i * CONTROL_WORDS
    if (controls === null || this.headers[i * HEADER_WORDS + CONTROLLEN_WORD]! < CONTROL_WORDS * 4) return Number.NaN
    if (controls[at + CONTROL_TYPE_WORD] !== SO_TIMESTAMPNS) return Number.NaN
    const seconds = controls[at + SECONDS_WORD + 1]! * 0x100000000 + controls[at + SECONDS_WORD]!
    return seconds * 1e6 + controls[at + NANOSECONDS_WORD]! / 1000
  }

  /** Room for an IPv6 name and for a control message again: the kernel left the lengths it wrote. Before the slot is received into once more. */
  rearm(i: number): void {
    this.headers[i * HEADER_WORDS + NAMELEN_WORD] = SOCKADDR_IN6_LEN
    if (this.controls !== null) this.headers[i * HEADER_WORDS + CONTROLLEN_WORD] = CONTROL_WORDS * 4
  }
}
