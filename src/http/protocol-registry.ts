/** The one place that decides which protocol a connection speaks. Another protocol is another entry. */
import type { StreamParser } from '../reassembly/stream-parser.ts'
import { Probe } from './first-line.ts'
import type { HttpContext, OpenEvents } from './http-context.ts'
import type { OpenParser, Protocol, ProtocolName } from './protocol.ts'

export class ProtocolRegistry {
  private readonly unread: readonly Protocol[]
  private readonly openFirst: OpenParser | null

  /** @param protocols in the order in which they are asked. The first that reads is given each connection, until its bytes refute it */
  constructor(protocols: readonly Protocol[]) {
    this.unread = protocols.filter(({ open }) => open === null)
    this.openFirst = protocols.find(({ open }) => open !== null)?.open ?? null
  }

  /** The parser of a connection whose first data is here. Throws where no entry reads. */
  open(
    context: HttpContext,
    flowHash: number,
    ports: readonly [number, number],
    clientDirection: number,
    openEvents: OpenEvents,
    isMidMessage: boolean,
  ): StreamParser {
    if (this.openFirst === null) throw new Error('no protocol reads connections')
    return this.openFirst(context, flowHash, ports, clientDirection, openEvents, isMidMessage)
  }

  /** What the first bytes of a stream, [at, end), are, when those that read have refused them. */
  recognise(bytes: Buffer, at: number, end: number): ProtocolName {
    for (const { name, probe } of this.unread) if (probe(bytes, at, end) === Probe.yes) return name as ProtocolName
    return 'unknown'
  }
}
