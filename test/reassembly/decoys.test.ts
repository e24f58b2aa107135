/**
 * Reassembly and HTTP together: what stands in bodies and tunnels and looks like a request is never taken for one, and no request is
 * taken twice, whatever is lost, repeated or late, and wherever the connection gives way, is idle for too long, is reset by what is no
 * reset, or changes its shard.
 */
import fc from 'fast-check'
import { test } from 'vitest'
import { fiveTupleHash } from '../../src/dispatch/hash.ts'
import { PROGRESS_REGISTER_BYTES, ProgressRegister } from '../../src/flow/progress-register.ts'
import { HttpConnection } from '../../src/http/http-connection.ts'
import type { HttpEvents } from '../../src/http/http-events.ts'
import { Reassembler } from '../../src/reassembly/reassembler.ts'
import { answer, get, RigContext } from '../http/support/connection-rig.ts'
import { viewOf } from '../support/views.ts'
import { ACK, OPTIONS, privates, RST, SYN } from './rig.ts'

const SECOND = 1_000_000
const DECOY = get('/decoy')
const FILLER = 'filler'
const CONNECT = 'CONNECT a:1 HTTP/1.1\r\n\r\n'

interface Packet {
  readonly fromClient: boolean
  readonly seq: number
  readonly ack: number
  readonly data: string
  readonly flags: number
  /** Lost, or late when a shard dies, it would leave nothing that tells. */
  readonly isKept: boolean
  /** A reset ends what is known of a tunnel. */
  readonly isInTunnel: boolean
  /** Elsewhere a connection that goes on behind its end begins in the middle as any other does: its first line is evidence. */
  readonly isInside: boolean
}

/** The packets of one connection. In bodies an acknowledgement never ends where a decoy begins: nobody could tell it from a request. */
function conversation(kinds: readonly string[]): Packet[] {
  const packets: Packet[] = []
  const next = [2_147_483_000, 500]
  let isInTunnel = false
  const say = (fromClient: boolean, data: string, isKept = false, flags: number = ACK) => {
    const [own, peer] = fromClient ? [0, 1] : [1, 0]
    packets.push({
      fromClient,
      seq: next[own]! | 0,
      ack: next[peer]! | 0,
      data,
      flags,
      isKept,
      isInTunnel,
      isInside: data === DECOY || data === FILLER,
    })
    next[own]! += data.length + ((flags & SYN) !== 0 ? 1 : 0)
  }
  say(true, '', true, SYN)
  say(false, '', true, SYN | ACK)
  say(true, get('/first'), true)
  say(false, answer(200), true)
  kinds.forEach((kind, i) => {
    const body = 3 * (DECOY.length + FILLER.length)
    if (kind === 'get') {
      say(true, get(`/${i}`))
      say(false, answer(200, 'ok'))
    } else if (kind === 'head') {
      // Whoever has not seen the question takes what follows for a body.
      say(true, `HEAD /${i} HTTP/1.1\r\n\r\n`)
      say(false, `HTTP/1.1 200 x\r\nContent-Length: ${body}\r\n\r\n`)
    } else if (kind === 'upload') {
      say(true, `POST /${i} HTTP/1.1\r\nContent-Length: ${body}\r\n\r\n`)
      for (let k = 0; k < 3; k++) {
        say(true, DECOY)
        say(false, '')
        say(true, FILLER)
      }
      say(false, answer(200, 'ok'))
    } else if (kind === 'download') {
      say(true, get(`/${i}`))
      say(false, `HTTP/1.1 200 x\r\nContent-Length: ${body}\r\n\r\n`)
      for (let k = 0; k < 3; k++) {
        say(false, DECOY)
        say(true, '')
        say(false, FILLER)
      }
    } else {
      isInTunnel = true
      say(true, CONNECT, true)
      say(false, 'HTTP/1.1 200 x\r\n\r\n', true)
      for (let k = 0; k < 4; k++) {
        say(true, DECOY)
        say(false, answer(200, 'ok'))
      }
    }
  })
  return packets
}

class Path {
  readonly requests: string[] = []
  private readonly memory = new SharedArrayBuffer(PROGRESS_REGISTER_BYTES)
  private readonly tunnels = new RigContext().tunnels
  private reassembler!: Reassembler
  nowUs = 1_000_000_000_000

  constructor() {
    this.shard()
  }

  /** A new one takes over. */
  shard(): void {
    const context = Object.assign(new RigContext(), { tunnels: this.tunnels })
    const events: HttpEvents = {
      request: (view) => this.requests.push(view.target()),
      requestDropped() {},
      responseHead() {},
      responseBody() {},
      responseEnd() {},
      responsesMissed() {},
      closed() {},
    }
    const factory = {
      mayOpen: () => true,
      open: (slot: number, client: number, _nowUs: number, isMidMessage: boolean) => {
        const { table } = this.reassembler
        const ports = [table.portOf(slot, 0), table.portOf(slot, 1)] as const
        return new HttpConnection(context, table.hash[slot]!, ports, client, () => events, isMidMessage)
      },
    }
    this.reassembler = new Reassembler(OPTIONS, factory, context.counters, new ProgressRegister(this.memory))
  }

  giveWay(): void {
    for (const slot of this.reassembler.table.slots())
      privates<{ lifecycle: { evict(slot: number): void } }>(this.reassembler).lifecycle.evict(slot)
  }

  pass(us: number): void {
    this.nowUs += us
    this.reassembler.tick(this.nowUs)
  }

  packet({ fromClient, seq, ack, data, flags }: Packet): void {
    const client = { source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 40_000, destinationPort: 8080 }
    const server = { source: '10.0.0.2', destination: '10.0.0.1', sourcePort: 8080, destinationPort: 40_000 }
    const view = viewOf({ ...(fromClient ? client : server), seq, ack, data, flags })
    view.hash = fiveTupleHash(view.bytes, view.ipAt, view.ipVersion, view.tcpAt, 0, 1)
    this.nowUs += 1000
    view.timeUs = view.nowUs = this.nowUs
    this.reassembler.packet(view)
  }

  close(): void {
    this.reassembler.closeAll()
  }
}

const happening = fc.oneof(
  { weight: 30, arbitrary: fc.constant('arrives' as const) },
  { weight: 5, arbitrary: fc.constantFrom('lost' as const, 'twice' as const, 'late' as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'giveWay' as const,
      'idle' as const,
      'reset' as const,
      'wait' as const,
      'shard' as const,
    ),
  },
)

test('what looks like a request inside a body or a tunnel is never taken for one, and no request is taken twice', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('get', 'head', 'upload', 'download'), { maxLength: 4 }),
      fc.boolean(),
      fc.array(happening, { minLength: 60, maxLength: 60 }),
      (kinds, hasTunnel, happenings) => {
        const path = new Path()
        const late: Packet[] = []
        // A loss that nothing tells of yet is forgotten with the connection.
        let hasArrived = true
        conversation(hasTunnel ? [...kinds, 'tunnel'] : kinds).forEach((packet, i) => {
          const what = i < 4 ? 'arrives' : happenings[i % happenings.length]!
          if (what === 'giveWay') path.giveWay()
          else if (what === 'idle' && packet.isInside && hasArrived) path.pass(61 * SECOND)
          else if (what === 'wait') path.pass(2 * SECOND)
          else if (what === 'shard') {
            // What a shard held goes down with it: of a tunnel whose beginning nobody read nothing is known.
            for (let holes = 0; packet.isInTunnel && holes < 30; holes++) path.pass(2 * SECOND)
            path.shard()
          } else if (what === 'reset' && packet.isInside && !packet.isInTunnel && hasArrived)
            path.packet({ ...packet, data: DECOY, flags: RST | ACK })
          if (what === 'late' && !packet.isKept) late.push(packet)
          else if (what !== 'lost' || packet.isKept) path.packet(packet)
          if (what === 'twice') path.packet(packet)
          hasArrived = packet.isKept || (what !== 'lost' && what !== 'late')
          if (what !== 'late' && i % 3 === 0) for (const l of late.splice(0)) path.packet(l)
        })
        for (const packet of late) path.packet(packet)
        path.close()
        const { requests } = path
        if (requests.includes('/decoy')) throw new Error(`taken: ${requests}`)
        if (new Set(requests).size !== requests.length) throw new Error(`taken twice: ${requests}`)
      },
    ),
    { numRuns: 500 },
  )
})
