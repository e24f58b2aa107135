/** What the mirrored requests say, read off the frames in a way of its own, to compare with what an origin got. */
import { VXLAN_HEADER_LEN } from '../../src/wire/vxlan.ts'
import { CLIENT_NETWORK, FRAME_SOURCE_ADDRESS } from './keep-alive-traffic.ts'
import type { MirrorCycle } from './mirror-cycle.ts'

/** Ethernet, IPv4 and TCP without options: the bench's own frames. */
const PAYLOAD = VXLAN_HEADER_LEN + 14 + 20 + 20
const IP_TOTAL_LENGTH = VXLAN_HEADER_LEN + 14 + 2

/** One line per request of the cycle, in nginx.ts's LOGGED format; each has an X-Request-Id of its own. */
export function expectedLog({ bytes, offsets, clientAt }: MirrorCycle): string[] {
  const lines: string[] = []
  for (let i = 0; i < clientAt.length; i++) {
    const at = offsets[i]!
    if (bytes[at + VXLAN_HEADER_LEN + FRAME_SOURCE_ADDRESS] !== CLIENT_NETWORK) continue
    // By the IP header's length: short frames are padded.
    const end = at + VXLAN_HEADER_LEN + 14 + bytes.readUInt16BE(at + IP_TOTAL_LENGTH)
    const payload = bytes.toString('latin1', at + PAYLOAD, end)
    if (payload !== '') lines.push(logLine(payload))
  }
  return lines
}

/** @param request whole, in one segment, as the bench's traffic has it */
export function logLine(request: string): string {
  const headEnd = request.indexOf('\r\n\r\n')
  const [requestLine = '', ...fields] = request.slice(0, headEnd).split('\r\n')
  const headers = new Map(
    fields.map((field) => {
      const colon = field.indexOf(': ')
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 2)]
    }),
  )
  const rest = request.slice(headEnd + 4)
  const isChunked = headers.get('transfer-encoding') === 'chunked'
  const body = isChunked ? dechunk(rest) : rest
  const length = isChunked ? String(body.length) : headers.get('content-length')
  const named = ['user-agent', 'accept', 'x-request-id', 'cookie', 'content-type'].map(
    (name) => headers.get(name) ?? '',
  )
  return [requestLine, ...named, length ?? '', body].join('\t')
}

/** A chunked body as the bench writes it: no extensions, no trailer. */
export function dechunk(text: string): string {
  let body = ''
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    const length = Number.parseInt(text.slice(at, lineEnd), 16)
    if (!(length > 0)) return body
    body += text.slice(lineEnd + 2, lineEnd + 2 + length)
    at = lineEnd + 2 + length + 2
  }
}

export interface LogVerdict {
  /** Requests that arrived and were never sent like that. */
  readonly altered: number
  /** Arrived more often than they were sent. */
  readonly doubled: number
  /** Sent and never arrived. */
  readonly missing: number
  readonly example: string | null
}

/** @param times how often each expected line was sent */
export function compareLogs(expected: readonly string[], times: number, arrived: Iterable<string>): LogVerdict {
  const left = new Map(expected.map((line) => [line, times]))
  let altered = 0
  let doubled = 0
  let example: string | null = null
  for (const line of arrived) {
    const n = left.get(line)
    if (n === undefined) {
      altered++
      example ??= line
    } else if (n === 0) doubled++
    else left.set(line, n - 1)
  }
  const missing = [...left.values()].reduce((a, b) => a + b, 0)
  return { altered, doubled, missing, example }
}
