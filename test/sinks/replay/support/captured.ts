/** Captured requests and connections for tests of sinks, made from text by a plain reader of well-formed heads. */
import type { ConnectionFacts } from '../../../../src/exchange/connection.ts'
import { FIELD_STRIDE, MessageFlag, MessageView } from '../../../../src/exchange/message.ts'
import { factsOf } from '../../../support/exchanges.ts'

/**
 * @param head request line and header lines, joined with LF for readability; each character is one byte
 * @param body transfer-decoded
 */
export function captured(head: string, body: Buffer | string = ''): MessageView {
  const lines = head.split('\n')
  const bytes = Buffer.from(`\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  const message = new MessageView(100)
  // Not at offset 0: a sink that forgets `headAt` must fail.
  message.bytes = bytes
  message.headAt = 2
  message.headEnd = bytes.length
  const requestLine = lines[0]!
  const methodLength = requestLine.indexOf(' ')
  message.methodEnd = 2 + methodLength
  message.targetAt = message.methodEnd + 1
  message.targetEnd = 2 + requestLine.lastIndexOf(' ')
  message.minorVersion = requestLine.endsWith('HTTP/1.0') ? 0 : 1
  let at = 2 + requestLine.length + 2
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':')
    const value = line.slice(colon + 1)
    const blanks = value.length - value.trimStart().length
    const o = message.fieldCount++ * FIELD_STRIDE
    message.fields[o] = at
    message.fields[o + 1] = at + colon
    message.fields[o + 2] = at + colon + 1 + blanks
    message.fields[o + 3] = message.fields[o + 2]! + value.trim().length
    const name = line.slice(0, colon).toLowerCase()
    if (name === 'x-mirrorshard') message.flags |= MessageFlag.marked
    if (name === 'upgrade') message.flags |= MessageFlag.upgrade
    if (name === 'upgrade' && /websocket/i.test(value)) message.flags |= MessageFlag.webSocket
    at += line.length + 2
  }
  if (requestLine.startsWith('CONNECT ')) message.flags |= MessageFlag.connect
  const payload = Buffer.from(body)
  message.body = Buffer.concat([Buffer.from('before'), payload, Buffer.from('behind')])
  message.bodyAt = 6
  message.bodyEnd = 6 + payload.length
  message.bodyBytes = payload.length
  return message
}

let lastId = 0

export function connection(over: Partial<ConnectionFacts> = {}): ConnectionFacts {
  const id = ++lastId
  return factsOf({
    handle: id,
    clientAddress: '203.0.113.9',
    clientPort: 40_000 + (id % 20_000),
    serverPort: 8080,
    vni: 7,
    clientHash: Math.imul(id, 0x9e3779b1),
    flowHash: Math.imul(id, 0x85ebca77),
    ...over,
  })
}
