/** Connections, messages and exchanges for tests, as the product makes them. */
import type { ConnectionFacts } from '../../src/exchange/connection.ts'
import type { OwnedMessage } from '../../src/exchange/message.ts'
import { MessageView } from '../../src/exchange/message.ts'
import { OpenConnections } from '../../src/exchange/open-connections.ts'
import { HeadReader } from '../../src/http/head.ts'

/** From 10.0.0.1:40000 to 10.0.0.2:80. */
export function factsOf(over: Partial<ConnectionFacts> = {}): ConnectionFacts {
  return {
    handle: 1,
    ipVersion: 4,
    clientWords: [0x0a000001, 0, 0, 0],
    serverWords: [0x0a000002, 0, 0, 0],
    clientAddress: '10.0.0.1',
    clientPort: 40_000,
    serverAddress: '10.0.0.2',
    serverPort: 80,
    vni: null,
    namedClient: null,
    namedServer: null,
    clientHash: 1,
    flowHash: 2,
    ...over,
  }
}

export function directoryOf(...known: readonly ConnectionFacts[]): OpenConnections {
  const connections = new OpenConnections()
  for (const facts of known) connections.open(facts)
  return connections
}

const MAX_FIELDS = 200
const reader = new HeadReader({ maxHeadBytes: 1 << 20, maxFields: MAX_FIELDS, lenientWhiteSpace: true })

export interface MessageFacts {
  readonly firstUs?: number
  readonly lastUs?: number
  /** Absent: not kept. */
  readonly body?: Buffer
  readonly bodyBytes?: number
  readonly sha256?: string | null
  readonly isIncomplete?: boolean
  /** Bytes in front of the head, in the memory it is read from. */
  readonly headAt?: number
}

/** @param head with its empty line; each character is one byte */
export function viewOf(head: string, facts: MessageFacts = {}): MessageView {
  const { headAt = 5, body } = facts
  const bytes = Buffer.concat([Buffer.alloc(headAt, 'x'), Buffer.from(head, 'latin1'), Buffer.from('yy')])
  const view = new MessageView(MAX_FIELDS)
  const isResponse = head.startsWith('HTTP/')
  const end = isResponse
    ? reader.response(bytes, headAt, bytes.length, view)
    : reader.request(bytes, headAt, bytes.length, view)
  if (end !== headAt + head.length) throw new Error(`no head that is read: ${JSON.stringify(head)}`)
  view.firstUs = facts.firstUs ?? 0
  view.lastUs = facts.lastUs ?? view.firstUs
  view.bodyBytes = facts.bodyBytes ?? body?.length ?? 0
  view.bodyKept = body !== undefined
  if (body !== undefined) {
    view.body = Buffer.concat([Buffer.from('before'), body, Buffer.from('behind')])
    view.bodyAt = 6
    view.bodyEnd = 6 + body.length
  }
  return view
}

/** The same in memory of its own. An answer's body is put in, as whoever gathers it does. */
export function ownedOf(head: string, facts: MessageFacts = {}): OwnedMessage {
  const message = viewOf(head, facts).keep()
  if (message.status !== 0) {
    message.bodyBytes = facts.bodyBytes ?? facts.body?.length ?? 0
    message.bodyKept = facts.body !== undefined
    message.body = facts.body ?? message.body
    message.bodyEnd = message.body.length
  }
  message.lastUs = facts.lastUs ?? message.firstUs
  message.sha256 = facts.sha256 ?? null
  message.isIncomplete = facts.isIncomplete ?? false
  return message
}

export function headersIn(message: MessageView): [string, string][] {
  return Array.from({ length: message.fieldCount }, (_, i) => [message.fieldName(i), message.fieldValue(i)])
}

/** What a message says, in values that can be compared. */
export function shownMessage(message: OwnedMessage) {
  return {
    ...(message.status === 0
      ? { method: message.method(), target: message.target() }
      : { status: message.status, reason: message.target() }),
    version: `1.${message.minorVersion}`,
    headers: headersIn(message),
    flags: message.flags,
    bodyBytes: message.bodyBytes,
    sha256: message.sha256,
    body: message.bodyKept ? message.body.toString('latin1', message.bodyAt, message.bodyEnd) : null,
    isIncomplete: message.isIncomplete,
    firstUs: message.firstUs,
    lastUs: message.lastUs,
  }
}
