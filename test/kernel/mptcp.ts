/** MPTCP (RFC 8684) as far as a client needs it: version 1, no checksums. Numbers of the data stream are 32 bits here, as DSS allows. */
import { createHash, createHmac } from 'node:crypto'
import type { Random } from '../../src/demo/traffic/random.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import type { HandClient } from './hand-client.ts'
import { Option, option } from './segment.ts'

const CAPABLE_VERSION_1 = 0x01
const HMAC_SHA256 = 0x01
const JOIN = 0x10
const DSS = 0x20
/** DSS: a mapping and a data acknowledgement are there, both of 4 bytes. */
const HAS_ACK_AND_MAPPING = 0x05
const KEY_BYTES = 8

/** One end's key and what is made of it. */
class Key {
  readonly bytes: Buffer
  readonly token: number
  /** Low 32 bits of the initial data sequence number. */
  readonly idsn: number

  constructor(bytes: Buffer) {
    const hash = createHash('sha256').update(bytes).digest()
    this.bytes = bytes
    this.token = hash.readInt32BE(0)
    this.idsn = hash.readInt32BE(28)
  }
}

export class MptcpClient {
  private readonly own: Key
  private peer: Key | null = null
  private readonly random: Random

  constructor(random: Random) {
    this.random = random
    this.own = new Key(random.bytes(KEY_BYTES))
  }

  capableSyn(): Buffer {
    return option(Option.mptcp, Buffer.from([CAPABLE_VERSION_1, HMAC_SHA256]))
  }

  /** False when the receiver did not agree. */
  accepted(client: HandClient): boolean {
    const answer = client.mptcp[0]
    if (answer === undefined || answer.length < 2 + KEY_BYTES) return false
    this.peer = new Key(Buffer.from(answer.subarray(2, 2 + KEY_BYTES)))
    return true
  }

  /** Of the handshake's third segment. */
  capableAck(): Buffer {
    return option(
      Option.mptcp,
      Buffer.concat([Buffer.from([CAPABLE_VERSION_1, HMAC_SHA256]), this.own.bytes, this.peer!.bytes]),
    )
  }

  /** Of the first segment with data, where both keys stand once more. */
  capableData(length: number): Buffer {
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16BE(length)
    return option(
      Option.mptcp,
      Buffer.concat([Buffer.from([CAPABLE_VERSION_1, HMAC_SHA256]), this.own.bytes, this.peer!.bytes, bytes]),
    )
  }

  /** Bytes of a subflow from `subflowOffset` on are those of the data stream from `dataOffset` on. */
  mapping(subflowOffset: number, dataOffset: number, length: number): Buffer {
    const bytes = Buffer.alloc(16)
    bytes[0] = DSS
    bytes[1] = HAS_ACK_AND_MAPPING
    bytes.writeInt32BE((this.peer!.idsn + 1) | 0, 2)
    bytes.writeInt32BE((this.own.idsn + 1 + dataOffset) | 0, 6)
    bytes.writeInt32BE(1 + subflowOffset, 10)
    bytes.writeUInt16BE(length, 14)
    return option(Option.mptcp, bytes)
  }

  /** Opens another subflow. False when the receiver refused it. */
  async join(client: HandClient, settle: () => Promise<void>): Promise<boolean> {
    const nonce = this.random.bytes(4)
    const bytes = Buffer.alloc(6)
    bytes.writeInt32BE(this.peer!.token, 2)
    bytes[0] = JOIN
    bytes[1] = 1
    client.syn({ extraOptions: option(Option.mptcp, Buffer.concat([bytes, nonce])) })
    await settle()
    const answer = client.mptcp[0]
    if (!client.isOpen || answer === undefined || answer.length < 14) return false
    const key = Buffer.concat([this.own.bytes, this.peer!.bytes])
    const mac = createHmac('sha256', key)
      .update(Buffer.concat([nonce, answer.subarray(10, 14)]))
      .digest()
    client.send({
      flags: TcpFlag.ack,
      extraOptions: option(Option.mptcp, Buffer.concat([Buffer.from([JOIN, 0]), mac.subarray(0, 20)])),
    })
    await settle()
    return !client.isReset
  }
}
