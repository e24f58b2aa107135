/**
 * Why something was not passed on: the closed sets of reasons, one table per kind of thing dropped.
 *
 * A code is a small integer so that the hot path can return and count it without a string. The names are the labels of
 * the `reason` dimension in the metrics and the keys of `dropped` in the summary; the helps make docs/metrics.md.
 * `drop` = our choice, always with a reason; `loss` = happened before us.
 */
import { numbered } from './numbered.ts'

/** One row: what an operator reads about the reason. */
type ReasonTable = Readonly<Record<string, string>>

function codesOf<T extends ReasonTable>(table: T) {
  return numbered(['none', ...(Object.keys(table) as (keyof T & string)[])]) as { readonly [K in keyof T]: number } & {
    readonly none: 0
  }
}

/** Reasons a packet was dropped between the source and the flow table. Code 0 is "not dropped". */
export const PACKET_DROP_HELP = {
  ringFull:
    'The ring of the shard that owns the flow had no room (live traffic only; files wait). With shedding this only happens in bursts that are faster than it reacts.',
  shed: 'The packet belongs to a connection that is shed while a shard cannot keep up (live traffic only; --shed-above).',
  shardLost: 'A shard that died held the packet, or it was in the ring of one that did not come up again.',
  receiverLost: 'A receiving thread that died held the packet (--receivers 2 or more).',
  sourceNotAllowed: 'The outer source address is not in --allow-from.',
  vniNotAllowed: 'The VNI is not in --vni.',
  linkType: 'The link type of the capture is not read.',
  linkTruncated: 'The frame ends inside its link-layer header.',
  vlanDepth: 'The frame has more VLAN tags than --vlan-depth allows.',
  tunnelDepth: 'The packet has more nested tunnels than --tunnel-depth allows.',
  datagramTruncated: 'The mirrored datagram was longer than --datagram-bytes, and its inner packet cannot be used.',
  vxlanTruncated: 'The datagram ends inside the VXLAN header.',
  vxlanNoVni: 'The VXLAN header does not have the I flag (RFC 7348 section 5).',
  gpeTruncated: 'The datagram ends inside the VXLAN-GPE header.',
  gpeProtocol: 'The VXLAN-GPE next protocol is not supported.',
  geneveTruncated: 'The datagram ends inside the GENEVE header or its options.',
  geneveVersion: 'The GENEVE version is not 0 (RFC 8926 section 3.4).',
  geneveOptions: 'GENEVE option lengths do not add up to the header length.',
  geneveControl: 'The GENEVE O bit marks a control packet.',
  geneveProtocol: 'The GENEVE protocol type is not supported.',
  greTruncated: 'The packet ends inside the GRE or ERSPAN header.',
  greVersion: 'The GRE version is neither 0 (RFC 2784) nor 1 with PPP or EoIP (RFC 2637), or the routing bit is set.',
  mplsTruncated: 'The packet ends inside the MPLS label stack.',
  pppoeTruncated: 'The packet ends inside the PPPoE header.',
  ipTruncated: 'The packet ends inside the IP header or its extension headers.',
  ipVersion: 'The IP version is neither 4 nor 6, or does not match the protocol that announced it.',
  ipLength: 'The IP header states impossible lengths (header shorter than its minimum, total shorter than the header).',
  ipChecksum: 'The IPv4 header checksum is wrong (--verify-checksums).',
  fragmentInvalid: 'The IP fragment contradicts others of its datagram (overlap, size, or an end beyond 65,535 bytes).',
  fragmentTruncated: 'The IP fragment was truncated by the capture, so its datagram cannot be reassembled.',
  fragmentLimit: 'The fragment store is full (--fragment-bytes, --fragment-datagrams).',
  fragmentTimeout: 'The fragments of a datagram were not complete in time.',
  tcpTruncated: 'The packet ends inside the TCP header.',
  tcpLength: 'The TCP header length is below 20 bytes or beyond the segment.',
  tcpChecksum:
    'The TCP checksum is wrong. Checked with --verify-checksums, and always where fragments of two datagrams may be mixed.',
  flowLimit:
    'The flow table is full (--max-flows) and every connection that could be evicted is busy; this is the first packet of a new one. Or not all evicted connections could be remembered, and the packet begins a connection mid-stream or belongs to an evicted one.',
  connectionLimit:
    'The first data of a connection for whose HTTP state there is no memory (--connection-bytes), while all others are busy.',
  tunnelTruncated: 'The packet ends inside the header of a tunnel (GTP-U, GUE, Teredo, TZSP, EtherIP).',
  frameProtected: 'The 802.11 frame is encrypted.',
  frameFragment: 'The 802.11 frame is a fragment of a packet.',
  frameAggregate: 'The 802.11 frame carries several packets at once (A-MSDU).',
  frameDamaged: 'The capture marks the 802.11 frame as damaged: its frame check sequence is wrong.',
} as const satisfies ReasonTable

/** Reasons a request whose first line was recognised was not sent. */
export const REQUEST_DROP_HELP = {
  gap: 'Bytes of the request never arrived.',
  truncated:
    'A packet of the request was truncated: by the mirror or the capture, or here by --datagram-bytes (mirrorshard_packets_truncated_here_total).',
  urgentData:
    'A byte of the request is TCP urgent data (RFC 6093). Whether the server read it as part of the request cannot be seen.',
  conflictingCopies:
    'Bytes of the request arrived twice with different content. Which copy the server accepted cannot be seen.',
  multipath:
    'The connection is one of several of a multipath TCP connection (RFC 8684), so no single one carries the whole request.',
  incomplete: 'The connection or the capture ended inside the request.',
  expired: 'The connection reached the idle time-out inside the request.',
  shardLost: 'The shard that held the request died.',
  requestLine: 'The request line is not method SP target SP HTTP/1.x CRLF (RFC 9112 section 3).',
  version: 'The HTTP version is not 1.0 or 1.1.',
  bareLf: 'A line of the head ends in LF without CR; parsers disagree about that.',
  bareCr: 'The head contains a CR that is not followed by LF.',
  nul: 'The head contains a NUL byte.',
  obsFold: 'A header line is continued on the next one (obs-fold, RFC 9112 section 5.2).',
  headerName: 'A header name is not a token, or has white space before its colon.',
  headerTooLarge: 'The head is longer than --max-head-bytes.',
  tooManyHeaders: 'The head has more header lines than --max-headers.',
  lengthAndChunked: 'The request has both Content-Length and Transfer-Encoding (RFC 9112 section 6.1).',
  contentLength: 'Content-Length is not a plain decimal number, or there are several that differ.',
  repeatedLength: 'Content-Length is repeated with the same value.',
  transferCoding: 'Transfer-Encoding is not exactly chunked, is repeated, or is in an HTTP/1.0 message.',
  connectBody: 'A CONNECT states a body; parsers disagree whether it has one (RFC 9110 section 9.3.6).',
  chunkSize: 'A chunk size or its extension does not match RFC 9112 section 7.1.',
  chunkEnd: 'The data of a chunk is not followed by CRLF.',
  trailer: 'A trailer line is malformed, or the trailer is longer than the head limit.',
  earlyAnswer:
    'The server gave its final response before the body was sent, and what followed looks like another request. It may be the body, or the client may have given the body up (RFC 9110 section 10.1.1).',
  behindClose:
    'The request follows a Connection: close of either side, where no server reads a request (RFC 9112 section 9.6).',
  bodyTooLarge: 'The body is longer than --max-body-bytes.',
  memoryLimit:
    'The request was the oldest message being read when all of them together reached --message-bytes, or its connection was evicted.',
  connect: 'CONNECT is not replayed.',
  upgrade: 'WebSocket upgrades are not replayed.',
  loop: 'The request carries the X-Mirrorshard marker: it was already replayed once.',
  method: 'The method is not in --methods, or is refused by --allow-method or --deny-method.',
  path: 'The path is refused by --include, --exclude, --allow-path or --deny-path.',
  host: 'The host is refused by --allow-host or --deny-host.',
  status: 'The status of the captured answer is not in --only-status, or no answer was seen.',
  sampledOut: 'The request is not in the share that --percent keeps.',
  rateLimited: 'The request was beyond --rate (live traffic only; files wait).',
  queueFull:
    'The replay queue is full, and no other captured connection has more requests in it than this one (live traffic only; files wait).',
  circuitOpen: 'The origin does not answer, and the circuit breaker is open.',
  unsendable:
    'The replay engine cannot send this request unaltered: its target has an unknown form, or it has two Host headers with --keep-host. With undici also OPTIONS * and control characters in a value.',
  drainTimeout: 'The request was still queued or in flight when --drain-timeout-ms ended.',
} as const satisfies ReasonTable

/** Reasons a response whose status line was recognised was not complete or not read on. */
export const RESPONSE_DROP_HELP = {
  gap: 'Bytes of the response never arrived.',
  truncated:
    'A packet of the response was truncated: by the mirror or the capture, or here by --datagram-bytes (mirrorshard_packets_truncated_here_total).',
  urgentData: 'A byte of the response was sent as urgent data (RFC 6093).',
  conflictingCopies: 'Two different copies of bytes of the response were seen.',
  multipath: 'The connection is multipath TCP (RFC 8684).',
  incomplete: 'The connection or the capture ended inside the response.',
  expired: 'The connection reached the idle time-out inside the response.',
  shardLost: 'The shard that held the response died.',
  statusLine: 'The status line is not HTTP/1.x SP 3DIGIT (RFC 9112 section 4).',
  head: 'The head is malformed (bare LF or CR, NUL, obs-fold, bad header name).',
  headerTooLarge: 'The head is longer than --max-head-bytes.',
  tooManyHeaders: 'The head has more header lines than --max-headers.',
  framing: 'Content-Length and Transfer-Encoding contradict each other or themselves.',
  chunk: 'A chunk or the trailer is malformed.',
  memoryLimit:
    'The response was the oldest message being read when all of them together reached --message-bytes, or its connection was evicted.',
} as const satisfies ReasonTable

export const PacketDrop = codesOf(PACKET_DROP_HELP)
export const RequestDrop = codesOf(REQUEST_DROP_HELP)
export const ResponseDrop = codesOf(RESPONSE_DROP_HELP)

/** Names by code; index 0 is the empty name of `none`. */
export const PACKET_DROP_NAMES: readonly string[] = ['', ...Object.keys(PACKET_DROP_HELP)]
export const REQUEST_DROP_NAMES: readonly string[] = ['', ...Object.keys(REQUEST_DROP_HELP)]
export const RESPONSE_DROP_NAMES: readonly string[] = ['', ...Object.keys(RESPONSE_DROP_HELP)]

/** What became of a request that was handed to an engine, the null sink or `inspect`. Each request ends in exactly one. */
export const OUTCOME_HELP = {
  '1xx': 'Answered with a final status 101 (only 101 is final among 1xx).',
  '2xx': 'Answered with status 200 to 299.',
  '3xx': 'Answered with status 300 to 399. Redirects are not followed.',
  '4xx': 'Answered with status 400 to 499.',
  '5xx': 'Answered with status 500 to 599.',
  refused: 'The origin refused the connection.',
  unreachable: 'The origin could not be reached (no route, name not resolved).',
  tls: 'The TLS handshake with the origin failed.',
  connectTimeout: 'No connection within --connect-timeout-ms.',
  reset: 'The origin closed the connection before the answer.',
  timeout: 'No complete answer within the time-outs.',
  truncated: 'The answer ended before its stated length.',
  invalid: 'What came back is not HTTP/1.',
  answerTooLarge: 'The answer had more bytes than --max-answer-bytes and was aborted.',
  null: 'Discarded by --to null.',
  printed: 'Printed by inspect.',
} as const satisfies ReasonTable
export const Outcome = codesOf(OUTCOME_HELP)
export const OUTCOME_NAMES: readonly string[] = ['', ...Object.keys(OUTCOME_HELP)]
