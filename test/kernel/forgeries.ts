/**
 * Segments that a client's honest ones are mixed with, by kind: what is injected once. What the receiver makes of it is not said here:
 * the kernel says it.
 */
import type { Random } from '../../src/demo/traffic/random.ts'
import { seqAdd } from '../../src/wire/seq.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import type { Conversation } from './conversation.ts'
import { changed } from './field-changes.ts'
import type { HandClient } from './hand-client.ts'
import { Option, option } from './segment.ts'

export interface ForgeryContext {
  readonly random: Random
  readonly client: HandClient
  readonly conversation: Conversation
  /** Closes or opens the receiver's window by stopping or starting its reading. */
  setReading(isReading: boolean): void
  /** Turns of the event loop until nothing happens any more. */
  settle(): Promise<void>
}

export type Forgery = (c: ForgeryContext) => void | Promise<void>

const { syn, fin, rst, psh, ack, urg } = TcpFlag
/** Explicit congestion notification (RFC 3168), accurate ECN. */
const ECE = 64
const CWR = 128
const MSS = 1400

/** Forged bytes of the stream from `at` on; sometimes a request of its own instead. */
function forged({ random, conversation }: ForgeryContext, at: number, most = MSS): Buffer {
  const rest = conversation.forged.length - Math.max(at, 0)
  const length = Math.max(1, Math.min(most, rest, random.pick([1, 5, 40, 200, MSS]) + random.below(20)))
  if (rest <= 0) return Buffer.alloc(length, 0x7a)
  if (random.chance(0.15)) return Buffer.from(`GET /zz${'z'.repeat(length)} HTTP/1.1\r\n\r\n`.slice(-length), 'latin1')
  return conversation.forged.subarray(Math.max(at, 0), Math.max(at, 0) + length)
}

function honest({ conversation }: ForgeryContext, at: number, length: number): Buffer {
  return conversation.honest.subarray(Math.max(0, at), Math.max(0, at) + length)
}

/** Where data is forged: mostly what comes next, sometimes a bit further on, where it waits. */
function soon({ random, client }: ForgeryContext): number {
  return client.next + random.pick([0, 0, 0, 1, 30, 500])
}

function far(random: Random): number {
  return random.pick([1, 100, 70_000, 1 << 20, 1 << 28, 1 << 30])
}

/** Below `next`, as far as there is anything. */
function below({ random, client }: ForgeryContext): number {
  return random.below(Math.max(1, client.next))
}

/** A place for a segment without data. */
function around(c: ForgeryContext): number {
  const { random, client } = c
  return client.next + random.pick([0, 0, 1, 1000, 30_000, -1, -100, -100_000, 1 << 22])
}

function madeUp(kind: number, length: number, random: Random): Buffer {
  return option(kind, random.bytes(length))
}

const MD5_BYTES = 16

export const FORGERIES: Readonly<Record<string, Forgery>> = {
  'data without ACK': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), flags: c.random.pick([0, psh, psh | urg, psh | fin]) })
  },
  'ACK beyond what was sent': (c) => {
    const at = soon(c)
    const beyond = seqAdd(c.client.rcvNxt, 3000 + far(c.random))
    c.client.send({ at, data: forged(c, at), ack: beyond })
  },
  'ACK too old': (c) => {
    const at = soon(c)
    const old = seqAdd(c.client.rcvNxt, -(1 << 17) - far(c.random))
    c.client.send({ at, data: forged(c, at), ack: old })
  },
  'ACK a little old': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), ack: seqAdd(c.client.rcvNxt, -c.random.between(1, 3000)) })
  },
  'old timestamp': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), timestamp: c.client.clock - 2 - far(c.random) })
  },
  'missing timestamp': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), timestamp: null })
  },
  'timestamp of the future': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), timestamp: c.client.clock + 10_000 + c.random.below(1 << 20) })
  },
  'timestamp of the future, refused otherwise': (c) => {
    const { client, random } = c
    // Its timestamp must not become the one that is compared with.
    client.send({
      at: random.pick([client.next + 500, client.next - 1]),
      data: 'z',
      flags: 0,
      timestamp: client.clock + 99_999,
    })
  },
  'beyond the window': (c) => {
    const { client, random } = c
    const at = client.next + client.room + random.pick([0, 1, 1000, 1 << 20, 1 << 29])
    client.send({ at, data: forged(c, client.next) })
  },
  'across the window’s end': (c) => {
    const at = c.client.next + c.client.room - c.random.between(1, 200)
    c.client.send({ at, data: Buffer.alloc(400, 0x7a) })
  },
  'wholly old data': (c) => {
    const at = below(c)
    c.client.send({ at, data: forged(c, at, Math.max(1, c.client.next - at)) })
  },
  'partly old data': (c) => {
    const at = Math.max(0, c.client.next - c.random.between(1, 200))
    c.client.send({ at, data: forged(c, at) })
  },
  'old data below the stream': (c) => {
    c.client.send({ at: -c.random.between(2, 2000), data: Buffer.alloc(c.random.between(1, 1400), 0x7a) })
  },
  SYN: (c) => c.client.send({ at: around(c), flags: c.random.pick([syn, syn, syn | ack]) }),
  'SYN with data': (c) => {
    const at = soon(c)
    c.client.send({
      at: at - c.random.below(2),
      data: forged(c, at),
      flags: c.random.pick([syn, syn | psh, syn | ack]),
    })
  },
  'RST in the window': (c) => {
    const at = c.client.next + c.random.pick([1, 2, 100, 20_000, -1 + c.client.room])
    c.client.send({ at, flags: c.random.pick([rst, rst | ack]) })
  },
  'RST below': (c) => c.client.send({ at: c.client.next - far(c.random), flags: c.random.pick([rst, rst | ack]) }),
  'RST beyond': (c) => {
    c.client.send({ at: c.client.next + c.client.room + far(c.random), flags: c.random.pick([rst, rst | ack]) })
  },
  'RST exact': (c) => c.client.send({ flags: c.random.pick([rst, rst | ack]) }),
  'RST exact, old timestamp': (c) => {
    c.client.send({ flags: c.random.pick([rst, rst | ack]), timestamp: c.client.clock - 5 - far(c.random) })
  },
  'RST exact, absurd ACK': (c) => {
    c.client.send({ flags: rst | ack, ack: seqAdd(c.client.rcvNxt, c.random.pick([1, -1]) * far(c.random)) })
  },
  'RST with data': (c) => c.client.send({ flags: c.random.pick([rst, rst | ack]), data: forged(c, c.client.next) }),
  'RST in front of a hole': (c) => {
    const { client, random } = c
    const at = client.next + random.between(1, 300)
    const data = honest(c, at, random.between(1, 300))
    client.send({ at, data })
    // At the hole's end, and behind what was selectively acknowledged.
    client.send({ at: random.pick([at, at + data.length, client.next]), flags: random.pick([rst, rst | ack]) })
  },
  'FIN without ACK': (c) => c.client.send({ at: around(c), flags: fin }),
  'FIN stale': (c) => {
    const at = below(c)
    c.client.send({
      at,
      data: c.random.chance(0.5) ? '' : forged(c, at, Math.max(1, c.client.next - at)),
      flags: fin | ack,
    })
  },
  'FIN stale, old timestamp': (c) => {
    c.client.send({ flags: fin | ack, timestamp: c.client.clock - 5 - far(c.random) })
  },
  'FIN behind a hole': (c) => c.client.send({ at: c.client.next + c.random.between(1, 2000), flags: fin | ack }),
  'FIN too early': (c) => c.client.send({ flags: fin | ack }),
  'FIN with forged data': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), flags: fin | ack | psh })
  },
  'TCP-MD5': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), extraOptions: madeUp(Option.md5, MD5_BYTES, c.random) })
  },
  'RST with TCP-MD5': (c) => c.client.send({ flags: rst, extraOptions: madeUp(Option.md5, MD5_BYTES, c.random) }),
  'FIN with TCP-MD5': (c) => c.client.send({ flags: fin | ack, extraOptions: madeUp(Option.md5, MD5_BYTES, c.random) }),
  'TCP-AO': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), extraOptions: madeUp(Option.ao, 14, c.random) })
  },
  'wrong TCP checksum': (c) => {
    const at = soon(c)
    c.client.send({
      at,
      data: forged(c, at),
      damage: 'tcp',
      flags: c.random.pick([ack | psh, ack | psh, ack | fin, rst]),
    })
  },
  'wrong IP checksum': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), damage: 'ip' })
  },
  'urgent, honest': (c) => {
    const { client, random } = c
    const data = honest(c, client.next, random.between(1, 300))
    if (data.length === 0) return
    client.send({
      data,
      flags: ack | psh | urg,
      urgent: random.pick([1, data.length, random.between(1, data.length), data.length + 1]),
    })
    client.next += data.length
  },
  'urgent, a byte more': (c) => {
    const { client } = c
    client.send({ data: Buffer.from('!'), flags: ack | psh | urg, urgent: 1 })
  },
  'urgent pointer alone': (c) => c.client.send({ flags: ack | urg, urgent: c.random.pick([0, 1, 20, 0xffff]) }),
  'urgent pointer of 0 or far': (c) => {
    const { client, random } = c
    const data = honest(c, client.next, random.between(1, 300))
    client.send({ data, flags: ack | psh | urg, urgent: random.pick([0, 5000, 0xffff]) })
    client.next += data.length
  },
  'keep-alive with garbage': (c) => c.client.send({ at: c.client.next - 1, data: c.random.pick(['z', '\0', '']) }),
  'overlap, forged behind a hole first': (c) => {
    const { client, random } = c
    const at = client.next + random.between(1, 200)
    client.send({ at, data: forged(c, at) })
    const other = Math.max(client.next + 1, at + random.between(-100, 100))
    client.send({ at: other, data: honest(c, other, random.between(1, 600)) })
  },
  'overlap, forged behind a hole second': (c) => {
    const { client, random } = c
    const at = client.next + random.between(1, 200)
    client.send({ at, data: honest(c, at, random.between(1, 600)) })
    const other = Math.max(client.next + 1, at + random.between(-100, 100))
    client.send({ at: other, data: forged(c, other) })
  },
  'overlap, several behind a hole': (c) => {
    const { client, random } = c
    for (let i = random.between(2, 5); i > 0; i--) {
      const at = client.next + random.between(1, 500)
      client.send({ at, data: random.chance(0.5) ? forged(c, at) : honest(c, at, random.between(1, 400)) })
    }
  },
  'overlap in order': (c) => {
    const { client, random } = c
    const data = honest(c, client.next, random.between(1, 400))
    client.send({ data })
    const at = Math.max(0, client.next + random.between(-50, data.length - 1))
    client.send({ at, data: forged(c, at) })
  },
  'zero-window probe': async (c) => {
    const { client, random, conversation } = c
    c.setReading(false)
    await c.settle()
    // Fills the window as far as there is anything to say.
    for (let i = 0; i < 40 && client.room > 0 && client.next < conversation.honest.length; i++) {
      const data = honest(c, client.next, Math.min(client.room, MSS))
      client.send({ data })
      client.next += data.length
    }
    for (let i = random.between(1, 3); i > 0; i--)
      client.send({ at: client.next, data: random.chance(0.7) ? forged(c, client.next, 1) : honest(c, client.next, 1) })
    c.setReading(true)
    await c.settle()
  },
  'retransmission with other boundaries': (c) => {
    const at = below(c)
    c.client.send({ at, data: honest(c, at, c.random.between(1, MSS)) })
    c.client.next = Math.max(c.client.next, 0)
  },
  'ECN and reserved flags': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), flags: ack | psh | c.random.pick([ECE, CWR, ECE | CWR]) })
  },
  'any flags': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), flags: c.random.below(256), urgent: c.random.below(3) })
  },
  'one field changed': (c) => {
    const { client, random } = c
    const at = random.pick([client.next, client.next, client.next + 20, below(c)])
    client.damage = (packet) => changed(random, packet)
    client.send({ at, data: random.chance(0.6) ? honest(c, at, random.between(1, 300)) : forged(c, at) })
    client.damage = null
  },
  'broken options': (c) => {
    const at = soon(c)
    const extraOptions = c.random.pick([
      Buffer.from([Option.timestamps, 0, 1, 2]),
      Buffer.from([Option.mss, 40, 1, 2]),
      Buffer.from([99, 1, 0, 0]),
      Buffer.from([Option.end, 7, 7, 7]),
    ])
    c.client.send({ at, data: forged(c, at), extraOptions })
  },
  'options of a handshake': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), extraOptions: c.client.synOptions().subarray(0, 8) })
  },
  'header too short or too long': (c) => {
    const at = soon(c)
    c.client.send({ at, data: forged(c, at), dataOffset: c.random.pick([0, 4, 15]) })
  },
  'MPTCP mapping out of nowhere': (c) => {
    const at = soon(c)
    c.client.send({
      at,
      data: forged(c, at),
      extraOptions: option(Option.mptcp, Buffer.concat([Buffer.from([0x20, 4]), c.random.bytes(12)])),
    })
  },
}

export const FORGERY_KINDS: readonly string[] = Object.keys(FORGERIES)
