/** What two TCP endpoints say to each other, segment by segment, as if nothing went wrong on the way. */
import { seqAdd } from '../../wire/seq.ts'
import { TcpFlag } from '../../wire/tcp.ts'

export type Side = 'client' | 'server'

export interface Segment {
  readonly from: Side
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly payload: Buffer
  /** A keep-alive probe: its one byte is not the stream's. */
  readonly isProbe: boolean
}

/** How the bytes of one `say` are cut: lengths asked for one by one. */
export type Cut = (left: number) => number

const NOTHING = Buffer.alloc(0)

export class TcpConversation {
  readonly segments: Segment[] = []
  /** Next sequence number of each side. */
  private readonly next: Record<Side, number>

  /** Starts with the handshake. @param initial sequence numbers of the two SYNs */
  constructor(initial: Readonly<Record<Side, number>>) {
    this.next = { ...initial }
    this.push('client', TcpFlag.syn, NOTHING)
    this.push('server', TcpFlag.syn | TcpFlag.ack, NOTHING)
    this.acknowledge('client')
  }

  /** Sends `bytes`; the other side acknowledges every second segment and the last one. */
  say(from: Side, bytes: Buffer, cut: Cut): void {
    for (let at = 0, n = 1; at < bytes.length; n++) {
      const end = Math.min(bytes.length, at + Math.max(1, cut(bytes.length - at)))
      this.push(from, TcpFlag.ack | (end === bytes.length ? TcpFlag.psh : 0), bytes.subarray(at, end))
      if (n % 2 === 0 || end === bytes.length) this.acknowledge(other(from))
      at = end
    }
  }

  /** One byte below the window, which asks for an acknowledgement (RFC 9293 section 3.8.4). */
  probe(from: Side): void {
    this.segments.push({
      from,
      seq: seqAdd(this.next[from], -1),
      ack: this.next[other(from)],
      flags: TcpFlag.ack,
      payload: Buffer.from([0]),
      isProbe: true,
    })
    this.acknowledge(other(from))
  }

  /** Both sides close in order, `first` before the other. */
  close(first: Side): void {
    for (const side of [first, other(first)]) {
      this.push(side, TcpFlag.fin | TcpFlag.ack, NOTHING)
      this.acknowledge(other(side))
    }
  }

  reset(from: Side): void {
    this.push(from, TcpFlag.rst | TcpFlag.ack, NOTHING)
  }

  private acknowledge(from: Side): void {
    this.push(from, TcpFlag.ack, NOTHING)
  }

  private push(from: Side, flags: number, payload: Buffer): void {
    const seq = this.next[from]
    // A first SYN acknowledges nothing.
    const ack = (flags & TcpFlag.ack) === 0 ? 0 : this.next[other(from)]
    this.segments.push({ from, seq, ack, flags, payload, isProbe: false })
    // SYN and FIN take one number each (RFC 9293 section 3.4).
    this.next[from] = seqAdd(seq, payload.length + ((flags & (TcpFlag.syn | TcpFlag.fin)) !== 0 ? 1 : 0))
  }
}

export function other(side: Side): Side {
  return side === 'client' ? 'server' : 'client'
}
