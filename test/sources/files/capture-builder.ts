/** Captures built by hand, field by field, so that the readers are tested against the formats and not against our writer. */

export interface Packet {
  readonly data: Buffer
  readonly wireLength?: number
  readonly seconds: number
  /** Microseconds, or nanoseconds where the magic says so. */
  readonly fraction: number
}

export class Fields {
  private readonly parts: Buffer[] = []
  readonly littleEndian: boolean

  constructor(littleEndian: boolean) {
    this.littleEndian = littleEndian
  }

  u8(...values: number[]): this {
    this.parts.push(Buffer.from(values))
    return this
  }

  u16(...values: number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(2)
      this.littleEndian ? part.writeUInt16LE(value) : part.writeUInt16BE(value)
      this.parts.push(part)
    }
    return this
  }

  u32(...values: number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(4)
      this.littleEndian ? part.writeUInt32LE(value >>> 0) : part.writeUInt32BE(value >>> 0)
      this.parts.push(part)
    }
    return this
  }

  u64(value: bigint): this {
    const part = Buffer.alloc(8)
    const bits = BigInt.asUintN(64, value)
    this.littleEndian ? part.writeBigUInt64LE(bits) : part.writeBigUInt64BE(bits)
    this.parts.push(part)
    return this
  }

  /** Padded with zeros to a multiple of `unit` bytes. */
  bytes(data: Uint8Array, unit = 1): this {
    this.parts.push(Buffer.from(data), Buffer.alloc((unit - (data.length % unit)) % unit))
    return this
  }

  end(): Buffer {
    return Buffer.concat(this.parts)
  }
}

export interface PcapShape {
  readonly littleEndian?: boolean
  readonly magic?: number
  readonly linkType?: number
  readonly version?: readonly [number, number]
}

export const MICROSECONDS = 0xa1b2c3d4
export const NANOSECONDS = 0xa1b23c4d
export const KUZNETZOV = 0xa1b2cd34

export function pcapHeader(shape: PcapShape = {}): Buffer {
  return new Fields(shape.littleEndian ?? true)
    .u32(shape.magic ?? MICROSECONDS)
    .u16(...(shape.version ?? [2, 4]))
    .u32(0, 0, 262_144, shape.linkType ?? 1)
    .end()
}

export function pcapRecord(packet: Packet, shape: PcapShape = {}): Buffer {
  const fields = new Fields(shape.littleEndian ?? true)
  fields.u32(packet.seconds, packet.fraction, packet.data.length, packet.wireLength ?? packet.data.length)
  if (shape.magic === KUZNETZOV) fields.u32(7).u16(0x0800).u8(4, 0)
  return fields.bytes(packet.data).end()
}

export function pcapFile(packets: readonly Packet[], shape: PcapShape = {}): Buffer {
  return Buffer.concat([pcapHeader(shape), ...packets.map((packet) => pcapRecord(packet, shape))])
}

/** One pcapng section, block by block. */
export class Section {
  private readonly blocks: Buffer[] = []
  private readonly littleEndian: boolean

  constructor(littleEndian = true, sectionLength = -1n, version: readonly [number, number] = [1, 0]) {
    this.littleEndian = littleEndian
    const body = this.fields()
      .u32(0x1a2b3c4d)
      .u16(...version)
      .u64(sectionLength)
    this.block(0x0a0d0d0a, body.end())
  }

  fields(): Fields {
    return new Fields(this.littleEndian)
  }

  block(type: number, body: Buffer): this {
    const padded = new Fields(this.littleEndian).bytes(body, 4).end()
    const length = padded.length + 12
    this.blocks.push(this.fields().u32(type, length).bytes(padded).u32(length).end())
    return this
  }

  raw(bytes: Buffer): this {
    this.blocks.push(bytes)
    return this
  }

  option(code: number, value: Uint8Array): Buffer {
    return this.fields().u16(code, value.length).bytes(value, 4).end()
  }

  /** @param resolution value of if_tsresol; @param offsetSeconds value of if_tsoffset */
  interface(linkType: number, snapLength = 0, resolution?: number, offsetSeconds?: bigint): this {
    const body = this.fields().u16(linkType, 0).u32(snapLength)
    body.bytes(this.option(2, Buffer.from('eth0!')))
    if (resolution !== undefined) body.bytes(this.option(9, Buffer.of(resolution)))
    if (offsetSeconds !== undefined) body.bytes(this.option(14, this.fields().u64(offsetSeconds).end()))
    return this.block(1, body.u16(0, 0).end())
  }

  enhanced(id: number, units: bigint, data: Buffer, wireLength = data.length): this {
    const body = this.fields().u32(id, Number(units >> 32n), Number(units & 0xffffffffn), data.length, wireLength)
    // epb_flags behind the packet must not be taken for a part of it.
    return this.block(
      6,
      body
        .bytes(data, 4)
        .bytes(this.option(2, Buffer.alloc(4, 0xff)))
        .u16(0, 0)
        .end(),
    )
  }

  oldPacket(id: number, units: bigint, data: Buffer, wireLength = data.length): this {
    const body = this.fields()
      .u16(id, 5)
      .u32(Number(units >> 32n), Number(units & 0xffffffffn), data.length, wireLength)
    return this.block(2, body.bytes(data, 4).end())
  }

  simple(data: Buffer, wireLength = data.length): this {
    return this.block(3, this.fields().u32(wireLength).bytes(data, 4).end())
  }

  end(): Buffer {
    return Buffer.concat(this.blocks)
  }
}
