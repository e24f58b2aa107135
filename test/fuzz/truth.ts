/** A request that was really sent, in a form that two of can be compared by, however they came about. */
import { createHash } from 'node:crypto'
import type { SampleRequest } from '../../src/demo/traffic/sample-request.ts'
import type { MessageView } from '../../src/exchange/message.ts'

export interface KnownRequest {
  /** Request line and headers in order, values without blanks around them, a line each; latin-1: a character per byte. */
  readonly text: string
  /** Transfer-decoded. */
  readonly bodyBytes: number
  readonly bodySha256: string
  /** How often it was on the wire. */
  readonly times: number
}

export function knownRequest({ method, target, version, headers, body }: SampleRequest): KnownRequest {
  return {
    text: `${method} ${target} HTTP/${version}\n${headers.map(([name, value]) => `${name}: ${value}`).join('\n')}`,
    bodyBytes: body.length,
    bodySha256: sha256(body),
    times: 1,
  }
}

/** What the parser lent, as a key to compare with `keyOf`. */
export function keyOfView(view: MessageView): string {
  const fields = Array.from({ length: view.fieldCount }, (_, i) => `${view.fieldName(i)}: ${view.fieldValue(i)}`)
  const text = `${view.method()} ${view.target()} HTTP/1.${view.minorVersion}\n${fields.join('\n')}`
  return keyOf({ text, bodyBytes: view.bodyBytes, bodySha256: sha256(view.copyBody() ?? Buffer.alloc(0)) })
}

export function keyOf({ text, bodyBytes, bodySha256 }: Omit<KnownRequest, 'times'>): string {
  return `${text}\n\n${bodyBytes} bytes, SHA-256 ${bodySha256}`
}

function sha256(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex')
}
