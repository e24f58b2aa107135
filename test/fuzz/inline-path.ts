/** The whole path on one thread, put together as a shard does it, with a sink that shows each request to whoever asked. */
import { PACKET_DROP_NAMES, PacketDrop, REQUEST_DROP_NAMES, RequestDrop } from '../../src/base/drop.ts'
import { CONNECTION_BYTES } from '../../src/base/memory-weights.ts'
import type { PacketView } from '../../src/decapsulation/packet-view.ts'
import { CapturedConnection } from '../../src/exchange/captured-connection.ts'
import type { ConnectionFacts } from '../../src/exchange/connection.ts'
import type { ExchangeId } from '../../src/exchange/exchange-outlet.ts'
import { MessageView } from '../../src/exchange/message.ts'
import { OpenConnections } from '../../src/exchange/open-connections.ts'
import { HeadReader } from '../../src/http/head.ts'
import { HeldMessages } from '../../src/http/held-messages.ts'
import type { HttpContext } from '../../src/http/http-context.ts'
import { HttpExchanges } from '../../src/http/http-exchanges.ts'
import { HttpMemory } from '../../src/http/http-memory.ts'
import { HTTP1 } from '../../src/http/http1.ts'
import { PartialHead } from '../../src/http/partial-head.ts'
import { UNREAD_PROTOCOLS } from '../../src/http/protocol.ts'
import { ProtocolCounts } from '../../src/http/protocol-counts.ts'
import { ProtocolRegistry } from '../../src/http/protocol-registry.ts'
import { Counter, CounterBlock, PACKET_DROPS, REQUEST_DROPS } from '../../src/metrics/counters.ts'
import { Reassembler, type ReassemblyOptions } from '../../src/reassembly/reassembler.ts'
import { CaptureRecord } from '../../src/sources/capture-record.ts'
import { PacketPipeline, type TunnelFormat } from '../../src/topology/packet-pipeline.ts'
import { emptyProgressRegister, emptyTunnelRegister } from './registers.ts'
import { hold } from './target.ts'

export interface PathShape {
  readonly verifyChecksums: boolean
  readonly vniInKey: boolean
  readonly overlap: ReassemblyOptions['overlap']
  readonly maxFlows: number
  readonly outOfOrderBytes: number
  readonly maxBodyBytes: number
  readonly fragmentBytes: number
  readonly connectionBytes: number
  readonly messageBytes: number
}

export const USUAL_SHAPE: PathShape = {
  verifyChecksums: false,
  vniInKey: false,
  overlap: 'linux',
  maxFlows: 1000,
  outOfOrderBytes: 1 << 20,
  maxBodyBytes: 8 << 20,
  fragmentBytes: 1 << 20,
  connectionBytes: 64 << 20,
  messageBytes: 64 << 20,
}

const MAX_HEADERS = 100
const PEER = { family: 4, words: new Int32Array([0x7f000001, 0, 0, 0]), port: 1 } as const

export class InlinePath {
  readonly counters = new CounterBlock()
  requests = 0
  private given = 0
  private readonly packetPipeline: PacketPipeline
  private readonly reassembler: Reassembler
  private readonly context: HttpContext
  private readonly record = new CaptureRecord()
  private readonly progress = emptyProgressRegister()
  private readonly shape: PathShape
  private partialHeads = 0
  private beganInMiddle = false
  private largest = 0
  private timeUs = 1_700_000_000_000_000

  /** @param withdrawn set: as for `inspect`, which leaves out what stands behind Connection: close; told of requests taken before */
  constructor(
    shape: PathShape,
    taken: (message: MessageView, connection: ConnectionFacts, id: ExchangeId) => void,
    withdrawn: ((id: ExchangeId) => void) | null = null,
  ) {
    this.shape = shape
    const { verifyChecksums, vniInKey, overlap, maxFlows, outOfOrderBytes, maxBodyBytes, fragmentBytes } = shape
    const { counters } = this
    this.context = {
      reader: new HeadReader({
        maxHeadBytes: 65_536,
        maxFields: MAX_HEADERS,
        lenientWhiteSpace: false,
        skipsResponseFields: true,
      }),
      view: new MessageView(MAX_HEADERS),
      heldMessages: new HeldMessages(),
      maxHeadBytes: 65_536,
      maxBodyBytes,
      keepBodies: true,
      showsUnanswered: withdrawn !== null,
      memory: new HttpMemory(shape, counters),
      takePartialHead: () => {
        this.partialHeads++
        return new PartialHead()
      },
      givePartialHead: (partial) => {
        this.partialHeads--
        partial.bytes.fill(0x58)
      },
      counters,
      protocols: new ProtocolRegistry([HTTP1, ...UNREAD_PROTOCOLS]),
      protocolCounts: new ProtocolCounts(),
      tunnels: emptyTunnelRegister(),
      upgradeWaitUs: 5_000_000,
      ports: null,
      requestsInParsing: 0,
    }
    const connections = new OpenConnections()
    const complete = new Set<ExchangeId>()
    const wants = { requestBody: true, responseHead: withdrawn !== null, responseBody: false }
    const sink = {
      request: (id: ExchangeId, message: MessageView) => {
        this.requests++
        hold(
          message.bodyBytes <= maxBodyBytes,
          `a body of ${message.bodyBytes} bytes where ${maxBodyBytes} are the limit`,
        )
        hold(
          message.headEnd - message.headAt <= 65_536 && message.fieldCount <= MAX_HEADERS,
          'a head beyond its limits',
        )
        if (withdrawn !== null) complete.add(id)
        taken(message, connections.facts(id.connection), id)
      },
      requestDropped: (id: ExchangeId) => {
        if (!complete.delete(id)) return
        this.requests--
        counters.requestDrop(RequestDrop.behindClose)
        withdrawn!(id)
      },
    }
    this.reassembler = new Reassembler(
      {
        maxFlows,
        vniInKey,
        overlap,
        openingTimeoutMs: 20_000,
        idleTimeoutMs: 60_000,
        closingTimeoutMs: 5000,
        outOfOrderBytes,
        outOfOrderTotalBytes: 2 * outOfOrderBytes,
        reorderWindowPackets: 64,
        reorderWindowMs: 1000,
      },
      {
        mayOpen: () => this.context.memory.hasRoom,
        open: (slot, clientDirection, _nowUs, isInside) => {
          if (clientDirection < 0) this.beganInMiddle = true
          const { table } = this.reassembler
          const ports: [number, number] = [table.portOf(slot, 0), table.portOf(slot, 1)]
          const events = (client: number) => {
            const facts = CapturedConnection.ofFlow(table, slot, client)
            connections.open(facts)
            return new HttpExchanges(facts.handle, sink, wants, (handle) => connections.close(handle))
          }
          const { context } = this
          return context.protocols.open(context, table.hash[slot]! | 0, ports, clientDirection, events, isInside)
        },
      },
      counters,
      this.progress,
    )
    this.packetPipeline = new PacketPipeline(
      {
        decapsulation: {
          vlanDepth: 4,
          tunnelDepth: 4,
          verifyChecksums,
          fragments: { datagrams: 64, bytes: fragmentBytes, timeoutMs: 5000 },
          allowFrom: null,
          vnis: null,
        },
        dispatch: { vniInKey, ports: null, hashKey: 0x5eed },
      },
      { offer: (view) => this.offer(view), publish: () => {} },
      counters,
    )
  }

  /** @param cut bytes missing at the end of what was on the wire @param laterUs since the packet before */
  frame(bytes: Buffer, linkType: number, cut: number, laterUs: number): void {
    const { record } = this
    this.timeUs += laterUs
    record.bytes = bytes
    record.at = 0
    record.end = bytes.length
    record.wireLength = bytes.length + cut
    record.linkType = linkType
    record.timeUs = this.timeUs
    this.given++
    this.packetPipeline.frame(record)
    this.checkPackets()
  }

  datagram(bytes: Buffer, format: TunnelFormat, isTruncated: boolean, laterUs: number): void {
    this.timeUs += laterUs
    this.given++
    this.packetPipeline.datagram(bytes, 0, bytes.length, isTruncated, format, PEER, null, this.timeUs)
    this.checkPackets()
  }

  tick(laterUs: number): void {
    this.timeUs += laterUs
    this.packetPipeline.tick(this.timeUs)
    this.reassembler.tick(this.timeUs)
    this.context.memory.enforce()
    this.checkPackets()
  }

  /** The end of the input: everything is settled. */
  end(): void {
    this.packetPipeline.flush()
    this.checkPackets()
    this.reassembler.closeAll()
    this.checkPackets()
    this.progress.mustBeEmpty()
    const left = {
      flows: this.reassembler.table.size,
      open: this.reassembler.open,
      fragments: this.get('fragmentsHeld'),
      fragmentBytes: this.get('fragmentBytes'),
      outOfOrder: this.get('outOfOrderBytes'),
      requests: this.context.requestsInParsing,
      partialHeads: this.partialHeads,
    }
    hold(
      Object.values(left).every((n) => n === 0),
      () => `left at the end: ${JSON.stringify(left)}`,
    )
  }

  /** Bytes in front of what is read are missing: a hole was declared, or a connection began in the middle. */
  get isDamaged(): boolean {
    return this.get('gaps') > 0 || this.beganInMiddle
  }

  get(name: keyof typeof Counter): number {
    return this.counters.get(Counter[name])
  }

  private offer(view: PacketView): number {
    this.largest = Math.max(this.largest, view.end - view.tcpAt)
    this.reassembler.packet(view)
    // As the shard does it.
    this.context.memory.enforce()
    return PacketDrop.none
  }

  /** What adds up, after every packet. */
  private checkPackets(): void {
    const packets = {
      received: this.get('packetsReceived'),
      processed: this.get('packetsProcessed'),
      dropped: this.sum(PACKET_DROPS, PACKET_DROP_NAMES.length),
      held: this.get('fragmentsHeld'),
    }
    hold(
      packets.received === this.given && packets.received === packets.processed + packets.dropped + packets.held,
      () => `packets do not add up: ${JSON.stringify(packets)}`,
    )
    const requests = {
      parsed: this.get('requestsParsed'),
      dropped: this.sum(REQUEST_DROPS, REQUEST_DROP_NAMES.length),
      sent: this.requests,
      held: this.context.requestsInParsing,
    }
    hold(
      requests.parsed === requests.dropped + requests.sent + requests.held && requests.held >= 0,
      () => `requests do not add up: ${JSON.stringify(requests)}`,
    )
    const stored = this.get('outOfOrderBytes')
    hold(stored >= 0 && stored <= 2 * this.shape.outOfOrderBytes + this.largest + 192, `${stored} bytes out of order`)
    const waiting = this.get('fragmentBytes')
    hold(waiting >= 0 && waiting <= this.shape.fragmentBytes, `${waiting} bytes of fragments`)
    const connections = this.get('connectionBytes')
    const messages = this.get('messageBytes')
    // One more is opened where nothing can give way.
    hold(
      connections >= 0 && connections <= this.shape.connectionBytes + CONNECTION_BYTES,
      `${connections} bytes of HTTP connections`,
    )
    hold(messages >= 0 && messages <= this.shape.messageBytes, `${messages} bytes of messages`)
    hold(this.reassembler.open <= this.shape.maxFlows, `${this.reassembler.open} flows`)
  }

  private sum(from: number, count: number): number {
    return this.counters.values.subarray(from, from + count).reduce((a, b) => a + b, 0)
  }
}
