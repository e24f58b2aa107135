/**
 * Every request that the soak's mirror sends, and what an origin must be given for it. Which one a request is, it says itself: its
 * X-Request-Id names connection and number, the client's address that replay appends as X-Forwarded-For names the pass.
 *
 *   10.PASS_HIGH.PASS_LOW.c    c: low byte of the connection
 *
 * So each request of a run has a number of its own, pass × requests of a pass + number in the pass, without a byte of the captured
 * ones being rewritten.
 */
import { VXLAN_HEADER_LEN } from '../../src/wire/vxlan.ts'
import { CLIENT_NETWORK, FRAME_SOURCE_ADDRESS } from '../support/keep-alive-traffic.ts'
import { MIRROR_SEED, type MirrorCycle, makeCycle, REQUESTS_PER_CONNECTION } from '../support/mirror-cycle.ts'
import { dechunk } from '../support/sent-requests.ts'

export interface Arrived {
  readonly requestLine: string
  /** As they came, without line ends. */
  readonly fields: readonly string[]
  /** latin1 */
  readonly body: string
}

interface Known {
  readonly requestLine: string
  /** As an origin gets them, but for `Host`, which is its own, and what replay adds. */
  readonly fields: readonly string[]
  readonly host: string
  readonly body: string
}

export type Verdict =
  | { readonly is: 'known'; readonly number: number; readonly isIdempotent: boolean }
  | { readonly is: 'altered' | 'invented'; readonly why: string }

/** Ethernet, IPv4 and TCP without options: the bench's own frames. */
const IP_TOTAL_LENGTH = VXLAN_HEADER_LEN + 14 + 2
const PAYLOAD = VXLAN_HEADER_LEN + 14 + 20 + 20

export class KnownRequests {
  readonly perPass: number
  private readonly known: readonly Known[]
  private readonly ownHost: string

  /** @param ownHost host and port of the origin */
  constructor(connections: number, ownHost: string) {
    const cycle = makeCycle(MIRROR_SEED, connections, REQUESTS_PER_CONNECTION)
    this.perPass = cycle.requests
    this.ownHost = ownHost
    this.known = readCycle(cycle)
  }

  /** Only GET and POST occur. @param inPass number in its pass */
  isIdempotent(inPass: number): boolean {
    return this.known[inPass]!.requestLine.startsWith('GET ')
  }

  /** Everything that arrived is held against everything that was said; nothing is left over on either side. */
  judge({ requestLine, fields, body }: Arrived): Verdict {
    const place = placeOf(fields, this.perPass)
    if (place === null) return { is: 'invented', why: `no request of the mirror: ${requestLine}, ${fields.join(', ')}` }
    const known = this.known[place.inPass]!
    const altered = (why: string): Verdict => ({ is: 'altered', why: `${place.id}: ${why}` })
    if (requestLine !== known.requestLine) return altered(`request line ${requestLine}, was ${known.requestLine}`)
    const rest = [...fields]
    for (const added of [
      `X-Forwarded-For: ${place.address}`,
      'X-Forwarded-Port: 80',
      'X-Forwarded-Proto: http',
      `X-Forwarded-Host: ${known.host}`,
      'X-Mirrorshard: 1',
    ]) {
      const at = rest.findIndex((field) => field.toLowerCase() === added.toLowerCase())
      if (at < 0) return altered(`without ${added}: ${fields.join(', ')}`)
      rest.splice(at, 1)
    }
    const wanted = known.fields.map((field) => (field.startsWith('Host: ') ? `Host: ${this.ownHost}` : field))
    if (rest.length !== wanted.length || rest.some((field, i) => field !== wanted[i]))
      return altered(`fields ${rest.join(', ')}, were ${wanted.join(', ')}`)
    if (body !== known.body) return altered(`body of ${body.length} bytes, was ${known.body.length}`)
    return {
      is: 'known',
      number: place.pass * this.perPass + place.inPass,
      isIdempotent: this.isIdempotent(place.inPass),
    }
  }
}

const ADDRESS = /^10\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
const ID = /^(\d{1,6})-(\d{1,6})$/

export interface Place {
  readonly pass: number
  readonly inPass: number
}

/** @returns null where no request of such a mirror can have these */
export function placeOfIds(address: string, id: string, perPass: number): Place | null {
  const from = ADDRESS.exec(address)
  const named = ID.exec(id)
  if (from === null || named === null) return null
  const connection = Number(named[1])
  const number = Number(named[2])
  const inPass = connection * REQUESTS_PER_CONNECTION + number
  if (number >= REQUESTS_PER_CONNECTION || inPass >= perPass || Number(from[3]) !== (connection & 255)) return null
  return { pass: Number(from[1]) * 256 + Number(from[2]), inPass }
}

function placeOf(
  fields: readonly string[],
  perPass: number,
): { pass: number; inPass: number; address: string; id: string } | null {
  const value = (name: string) => fields.find((field) => field.startsWith(`${name}: `))?.slice(name.length + 2) ?? ''
  const address = value('X-Forwarded-For')
  const id = value('X-Request-Id')
  const place = placeOfIds(address, id, perPass)
  return place === null ? null : { ...place, address, id }
}

/** Read off the frames in a way of its own: the program's parser has no part in it. */
function readCycle({ bytes, offsets, clientAt, requests }: MirrorCycle): Known[] {
  const known: Known[] = new Array(requests)
  let found = 0
  for (let i = 0; i < clientAt.length; i++) {
    const at = offsets[i]!
    if (bytes[at + VXLAN_HEADER_LEN + FRAME_SOURCE_ADDRESS] !== CLIENT_NETWORK) continue
    // By the IP header's length: short frames are padded.
    const text = bytes.toString(
      'latin1',
      at + PAYLOAD,
      at + VXLAN_HEADER_LEN + 14 + bytes.readUInt16BE(at + IP_TOTAL_LENGTH),
    )
    if (text === '') continue
    const request = requestOf(text)
    const id = ID.exec(request.fields.find((field) => field.startsWith('X-Request-Id: '))!.slice(14))!
    known[Number(id[1]) * REQUESTS_PER_CONNECTION + Number(id[2])] = request
    found++
  }
  if (found !== requests) throw new Error(`the cycle holds ${found} requests in one segment each, not ${requests}`)
  return known
}

function requestOf(text: string): Known {
  const headEnd = text.indexOf('\r\n\r\n')
  const [requestLine = '', ...captured] = text.slice(0, headEnd).split('\r\n')
  const rest = text.slice(headEnd + 4)
  const isChunked = captured.includes('Transfer-Encoding: chunked')
  const body = isChunked ? dechunk(rest) : rest
  const host = captured.find((field) => field.startsWith('Host: '))!.slice(6)
  // docs/replay.md: the whole body with its length in the coding's place.
  const fields = captured.map((field) =>
    field === 'Transfer-Encoding: chunked' ? `Content-Length: ${body.length}` : field,
  )
  return { requestLine, fields, host, body }
}
