/** How connections begin and end, and begin again: whole scenarios by kind. */
import { seqAdd } from '../../src/wire/seq.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { MptcpClient } from './mptcp.ts'
import type { ScenarioRun } from './scenario.ts'
import { Option, option } from './segment.ts'

export type Opening = (run: ScenarioRun) => Promise<void>

const { syn, rst, ack } = TcpFlag

export const OPENINGS: Readonly<Record<string, Opening>> = {
  'half-open, then again': async (run) => {
    await run.receiver.listen()
    const first = run.newClient()
    await run.handshake(first)
    await run.converse(first, run.conversation(3), [])
    // The client's machine starts anew and knows nothing of it.
    const second = run.newClient()
    second.syn()
    await run.settle()
    // The challenge ACK names the number of a connection that is unknown here (RFC 9293 section 3.5.1).
    if (!second.isOpen) second.raw({ seq: second.peerAck, ack: 0, flags: rst, window: 0 })
    await run.handshake(second)
    await run.converse(second, run.conversation(4), [])
    await run.close(second)
  },
  'refused, then accepted': async (run) => {
    const refused = run.newClient()
    refused.syn()
    await run.settle()
    await run.receiver.listen()
    const client = run.newClient(refused.local.port, run.random.chance(0.6) ? refused.iss : undefined)
    await run.handshake(client)
    await run.converse(client, run.conversation(), [])
    await run.close(client)
  },
  'port reuse after FIN': async (run) => {
    await run.receiver.listen()
    const first = run.newClient()
    await run.handshake(first)
    await run.converse(first, run.conversation(3), [])
    await run.close(first, 'fin')
    if (run.random.chance(0.5)) run.pause(run.random.pick([1_000_000, 10_000_000, 100_000_000]))
    const second = run.newClient(
      first.local.port,
      run.random.chance(0.7) ? first.seqOf(first.next + 70_000) : undefined,
    )
    await run.handshake(second)
    await run.converse(second, run.conversation(3), [])
    await run.close(second)
  },
  'port reuse after RST': async (run) => {
    await run.receiver.listen()
    const first = run.newClient()
    await run.handshake(first)
    await run.converse(first, run.conversation(3), [])
    await run.close(first, 'rst')
    const second = run.newClient(first.local.port, run.random.chance(0.5) ? first.iss : undefined)
    await run.handshake(second)
    await run.converse(second, run.conversation(3), [])
    await run.close(second)
  },
  'simultaneous open': async (run) => {
    const client = run.newClient()
    run.receiver.connectTo(client.local)
    await run.settle()
    client.syn()
    await run.settle()
    client.isOpen = true
    if (run.random.chance(0.5))
      client.raw({ seq: client.iss, ack: client.rcvNxt, flags: syn | ack, options: client.synOptions() })
    client.send()
    await run.settle()
    await run.converse(client, run.conversation(), [])
    await run.close(client)
  },
  'SYN that carries data': async (run) => {
    await run.receiver.listen()
    const { random } = run
    const client = run.newClient()
    const conversation = run.conversation()
    const data = random.pick([conversation.honest, conversation.forged]).subarray(0, random.between(1, 500))
    client.syn({ data })
    await run.settle()
    client.send()
    await run.converse(client, conversation, [])
    await run.close(client)
  },
  'two SYNs with different numbers': async (run) => {
    await run.receiver.listen()
    const stray = run.newClient()
    stray.syn()
    const client = run.newClient()
    client.syn()
    await run.settle()
    // What acknowledges another number is answered with a reset, mostly.
    if (!client.isOpen && run.random.chance(0.8)) {
      client.raw({ seq: client.peerAck, ack: 0, flags: rst, window: 0 })
      await run.handshake(client)
    }
    await run.converse(client, run.conversation(), [])
    await run.close(client)
  },
  'handshake acknowledged wrongly first': async (run) => {
    await run.receiver.listen()
    const { random } = run
    const client = run.newClient()
    const conversation = run.conversation()
    client.syn()
    await run.settle()
    const wrong = seqAdd(client.rcvNxt, random.pick([1, -1, 100_000, -100_000]))
    client.send({ ack: wrong, data: random.pick([Buffer.alloc(0), conversation.forged.subarray(0, 300)]) })
    client.isReset = false
    client.send()
    await run.settle()
    await run.converse(client, conversation, [])
    await run.close(client)
  },
  'data in front of the handshake’s end': async (run) => {
    await run.receiver.listen()
    const { random } = run
    const client = run.newClient()
    const conversation = run.conversation()
    client.syn()
    await run.settle()
    client.send({
      at: random.pick([0, 0, 1, 100]),
      data: conversation.forged.subarray(0, random.between(1, 300)),
      flags: random.pick([0, syn, ack, rst]),
    })
    client.send()
    await run.settle()
    await run.converse(client, conversation, [])
    await run.close(client)
  },
  'Fast Open': async (run) => {
    await run.receiver.listen()
    const { random } = run
    const asking = run.newClient()
    asking.syn({ extraOptions: option(Option.fastOpen, Buffer.alloc(0)) })
    await run.settle()
    asking.send()
    await run.settle()
    await run.close(asking, 'rst')
    const cookie = asking.cookie ?? Buffer.alloc(8)
    const client = run.newClient(asking.local.port + 1)
    const conversation = run.conversation()
    const isKnown = random.chance(0.7)
    const data = random.pick([conversation.honest, conversation.honest, conversation.forged])
    client.syn({
      extraOptions: option(Option.fastOpen, isKnown ? cookie : random.bytes(8)),
      data: data.subarray(0, random.between(1, 400)),
    })
    await run.settle()
    client.send()
    // What the SYN's data was is sent again: as a client does that did not see it acknowledged.
    await run.converse(client, conversation, [])
    await run.close(client)
  },
  'MPTCP: one subflow': (run) => mptcp(run, () => 'first'),
  'MPTCP: a subflow joins and carries data': (run) => mptcp(run, () => run.random.pick(['first', 'second'])),
  'MPTCP: bytes twice on a subflow': (run) => mptcp(run, () => run.random.pick(['first', 'first', 'again'])),
}

/**
 * The stream of a conversation over up to two subflows of an MPTCP connection.
 * @param where of each segment: on the first subflow, on the second, or on the first a second time with other bytes, under the same mapping
 */
async function mptcp(run: ScenarioRun, where: () => 'first' | 'second' | 'again'): Promise<void> {
  await run.receiver.listen()
  const { random } = run
  const { honest, forged } = run.conversation()
  const first = run.newClient()
  const protocol = new MptcpClient(random)
  first.syn({ extraOptions: protocol.capableSyn() })
  await run.settle()
  if (!protocol.accepted(first)) throw new Error('the kernel does not agree on MPTCP: net.mptcp.enabled')
  first.send({ extraOptions: protocol.capableAck() })
  await run.settle()
  const second = run.newClient(first.local.port + 1)
  let hasSecond: boolean | null = null
  for (let at = 0; at < honest.length; ) {
    const length = Math.min(honest.length - at, random.between(20, 700))
    const data = honest.subarray(at, at + length)
    // The first segment completes the handshake of MPTCP.
    const place = at === 0 ? 'first' : where()
    if (place === 'second') hasSecond ??= await protocol.join(second, () => run.settle())
    const subflow = place === 'second' && hasSecond === true ? second : first
    if (place === 'again') {
      const old = random.below(at)
      const repeated = forged.subarray(old, Math.min(at, old + 100))
      first.send({ data: repeated, extraOptions: protocol.mapping(first.next, old, repeated.length) })
      first.next += repeated.length
    }
    const extraOptions = at === 0 ? protocol.capableData(length) : protocol.mapping(subflow.next, at, length)
    subflow.send({ data, extraOptions })
    subflow.next += length
    at += length
    if (random.chance(0.6)) await run.settle()
  }
  await run.settle()
}

export const OPENING_KINDS: readonly string[] = Object.keys(OPENINGS)
