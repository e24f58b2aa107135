/**
 * What can be wrong with a message, from its first byte to its last, for requests and responses alike. A fault becomes a reason of
 * `requests.dropped` or `responses.dropped` where it is counted.
 */
import { RequestDrop, ResponseDrop } from '../base/drop.ts'
import { numbered } from '../base/numbered.ts'
import { End } from '../reassembly/stream-parser.ts'

/** Code, then the reason it is counted under for a request and for a response. */
const TABLE = {
  /** Request line, or status line. */
  firstLine: [RequestDrop.requestLine, ResponseDrop.statusLine],
  version: [RequestDrop.version, ResponseDrop.statusLine],
  bareLf: [RequestDrop.bareLf, ResponseDrop.head],
  bareCr: [RequestDrop.bareCr, ResponseDrop.head],
  nul: [RequestDrop.nul, ResponseDrop.head],
  obsFold: [RequestDrop.obsFold, ResponseDrop.head],
  fieldName: [RequestDrop.headerName, ResponseDrop.head],
  headTooLarge: [RequestDrop.headerTooLarge, ResponseDrop.headerTooLarge],
  tooManyFields: [RequestDrop.tooManyHeaders, ResponseDrop.tooManyHeaders],
  lengthAndChunked: [RequestDrop.lengthAndChunked, ResponseDrop.framing],
  contentLength: [RequestDrop.contentLength, ResponseDrop.framing],
  repeatedLength: [RequestDrop.repeatedLength, ResponseDrop.framing],
  transferCoding: [RequestDrop.transferCoding, ResponseDrop.framing],
  connectBody: [RequestDrop.connectBody, ResponseDrop.head],
  chunkSize: [RequestDrop.chunkSize, ResponseDrop.chunk],
  chunkEnd: [RequestDrop.chunkEnd, ResponseDrop.chunk],
  trailer: [RequestDrop.trailer, ResponseDrop.chunk],
  bodyTooLarge: [RequestDrop.bodyTooLarge, ResponseDrop.memoryLimit],
  memoryLimit: [RequestDrop.memoryLimit, ResponseDrop.memoryLimit],
  // Bytes that will not come, or that cannot be trusted.
  lost: [RequestDrop.gap, ResponseDrop.gap],
  truncated: [RequestDrop.truncated, ResponseDrop.truncated],
  urgentData: [RequestDrop.urgentData, ResponseDrop.urgentData],
  conflictingCopies: [RequestDrop.conflictingCopies, ResponseDrop.conflictingCopies],
  // The end of the stream or of HTTP on it.
  incomplete: [RequestDrop.incomplete, ResponseDrop.incomplete],
  expired: [RequestDrop.expired, ResponseDrop.expired],
  multipath: [RequestDrop.multipath, ResponseDrop.multipath],
  earlyAnswer: [RequestDrop.earlyAnswer, ResponseDrop.incomplete],
  behindClose: [RequestDrop.behindClose, ResponseDrop.incomplete],
} as const satisfies Record<string, readonly [number, number]>

/** 0 is "none". */
export const Fault = numbered(['none', ...(Object.keys(TABLE) as (keyof typeof TABLE)[])])

const REQUEST_DROPS = Uint8Array.from([0, ...Object.values(TABLE).map(([request]) => request)])
const RESPONSE_DROPS = Uint8Array.from([0, ...Object.values(TABLE).map(([, response]) => response)])

/** The reason of `requests.dropped` that a fault counts under. */
export function requestDropOf(fault: number): number {
  return REQUEST_DROPS[fault]!
}

/** The reason of `responses.dropped` that a fault counts under. */
export function responseDropOf(fault: number): number {
  return RESPONSE_DROPS[fault]!
}

/** What a message lacks when its stream ends before it does. @param reason one of End */
export function faultOfEnd(reason: number): number {
  if (reason === End.evicted) return Fault.memoryLimit
  if (reason === End.unreadable) return Fault.multipath
  return reason === End.expired ? Fault.expired : Fault.incomplete
}
