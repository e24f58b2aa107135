/** What an operator can do about each reason, for docs/metrics.md. What a reason means stands with the reason, in base/drop.ts. */
import type { OUTCOME_HELP, PACKET_DROP_HELP, REQUEST_DROP_HELP, RESPONSE_DROP_HELP } from '../base/drop.ts'

/** One line for every reason of a table: a new reason does not compile without one. */
type Advice<T> = { readonly [K in keyof T]: string }

const MALFORMED =
  'Nothing where it is rare: what is on the wire is like this. Where it is steady, capture some and look at what sends them.'
const CUT =
  'Raise the length limit of the mirror session, the MTU of the way to us (packets grow by the encapsulation: [operations.md](operations.md#kernel-buffers)), or the snap length of the capture.'
const LOST =
  'Find who lost the packets: we (`shed`, `ringFull` and other reasons for packets), the kernel (`mirrorshard_kernel_drops_total`), the mirror session or the capturing program (their own counts).'
const STRICT =
  'Nothing: two readers could understand it differently, so it is not sent. Look at the client if it is one of yours.'
const SENDER =
  'Nothing: the length is certain, so only this message is dropped. Look at the client if it is one of yours.'
const SERVER =
  'Nothing: captured responses are read for `inspect` and to know what follows a request. No request is lost by it.'

export const PACKET_DROP_ADVICE: Advice<typeof PACKET_DROP_HELP> = {
  ringFull:
    'The shards are too slow for the traffic. More `--workers` on more cores, less traffic (`--ports`, or a filter or fewer sources in the mirror), or a larger `--ring-bytes` where it comes in bursts only.',
  shed: 'As for `ringFull`. `mirrorshard_dispatch_shed_ratio` says what share of the connections is left out now. One worker at a whole core and others idle: a single connection is more than one worker can follow.',
  shardLost:
    'Read the log: it names the error of the worker that died. `--shard-heap-mb` where it ran out of heap (cause `heap` of `mirrorshard_thread_deaths_total`).',
  receiverLost: 'Read the log: it names the error of the receiver that died.',
  sourceNotAllowed:
    'Name the networks of your mirror sources in `--allow-from`. Otherwise somebody else sends to the port.',
  vniNotAllowed: 'Expected where `--vni` is set. Otherwise compare it with the VNIs of the mirror sessions.',
  linkType:
    '[encapsulations.md](encapsulations.md#link-types-of-files-and-interfaces) has those that are read. Capture Ethernet or raw IP, or convert the file.',
  linkTruncated: CUT,
  vlanDepth: 'Raise `--vlan-depth` if your network really stacks that many tags.',
  tunnelDepth: 'Raise `--tunnel-depth` if your network really nests that many tunnels.',
  datagramTruncated: 'Raise `--datagram-bytes` above the longest mirrored datagram.',
  vxlanTruncated: MALFORMED,
  vxlanNoVni: 'Something else than VXLAN comes in on the port. Check the format named in `--listen`.',
  gpeTruncated: MALFORMED,
  gpeProtocol: 'Nothing: it carries neither IP nor Ethernet.',
  geneveTruncated: MALFORMED,
  geneveVersion: 'Something else than GENEVE comes in on the port. Check the format named in `--listen`.',
  geneveOptions: MALFORMED,
  geneveControl: 'Nothing: control packets carry no mirrored traffic.',
  geneveProtocol: 'Nothing: it carries neither IP nor Ethernet.',
  greTruncated: CUT,
  greVersion: 'Nothing: version 1 is PPTP, and source-routed GRE is obsolete.',
  mplsTruncated: CUT,
  pppoeTruncated: CUT,
  ipTruncated: CUT,
  ipVersion: MALFORMED,
  ipLength: MALFORMED,
  ipChecksum:
    'Leave `--verify-checksums` off where captures are made on the sending machine: the card fills checksums in later.',
  fragmentInvalid:
    'Nothing where it is rare. A steady count is an attack, or two senders that use one identification at once.',
  fragmentCut: CUT,
  fragmentLimit: 'Raise `--fragment-bytes` or `--fragment-datagrams`, or find out who sends so many fragments.',
  fragmentTimeout:
    'Fragments were lost before us, or the input ended between them. Better: an MTU that leaves room for the encapsulation.',
  tcpTruncated: CUT,
  tcpLength: MALFORMED,
  tcpChecksum:
    'Leave `--verify-checksums` off where captures are made on the sending machine: the card fills checksums in later. Nothing where it is off: fragments of two packets had got mixed up.',
  flowLimit:
    'Raise `--max-flows` (and `--memory-limit`). Closed, half-open and silent connections gave way first: `mirrorshard_flows_evicted_total` counts those that were open. [memory.md](memory.md#what-gives-way)',
  connectionLimit:
    'Raise `--connection-bytes` or `--memory-limit`: [memory.md](memory.md#what-gives-way). A sudden count is a flood of connections that each begin a request and do not end it.',
  tunnelTruncated: CUT,
  frameProtected: 'Capture behind the access point, or decrypt the capture first (airdecap-ng, or Wireshark’s export).',
  frameFragment: 'Capture behind the access point, where packets are whole.',
  frameAggregate: 'Capture behind the access point, where each packet is a frame of its own.',
  frameDamaged: 'Nothing: the receiver did not take the frame either, and the sender repeats it.',
}

export const REQUEST_DROP_ADVICE: Advice<typeof REQUEST_DROP_HELP> = {
  gap: LOST,
  truncated: CUT,
  urgentData:
    'Nothing: urgent data has no use in HTTP. A steady count is a client that is no HTTP client, or somebody who tries to be read in two ways.',
  conflictingCopies:
    'Nothing where it is rare. A steady count is a middlebox that alters what it sends again, or somebody who forges packets to be read in two ways.',
  multipath:
    'Capture behind what ends multipath TCP (a load balancer speaks plain TCP to its servers), or turn it off for these servers (`net.mptcp.enabled`).',
  incomplete: 'Expected for what was under way when the capture or the connection ended. Otherwise as `gap`.',
  expired: 'Clients that send slower than `--flow-idle-timeout-ms`, or packets lost at the end of a connection.',
  shardLost:
    'Read the log: it names the error of the worker that died. Some of these may have left already: [decision 3](decisions/0003-counters-by-sequence-lock.md).',
  requestLine: SENDER,
  version: STRICT,
  bareLf: STRICT,
  bareCr: STRICT,
  nul: STRICT,
  obsFold: STRICT,
  headerName: STRICT,
  headerTooLarge: 'Raise `--max-head-bytes` if your servers take longer heads.',
  tooManyHeaders: 'Raise `--max-headers` if your servers take more header lines.',
  lengthAndChunked: STRICT,
  contentLength: STRICT,
  repeatedLength: SENDER,
  transferCoding: STRICT,
  connectBody: STRICT,
  chunkSize: STRICT,
  chunkEnd: STRICT,
  trailer: STRICT,
  earlyAnswer:
    'Nothing: neither reading can be proven. Expected where servers answer 401, 413 or 417 before the body and keep the connection open.',
  behindClose: 'Nothing: the server never read it. Look at the client if it is one of yours.',
  bodyTooLarge: 'Raise `--max-body-bytes`; mind the memory, bodies are held whole.',
  memoryLimit:
    'Raise `--message-bytes` or `--memory-limit`, or lower `--max-body-bytes`. A sudden count is a flood of messages that never end.',
  connect: 'Nothing: what a proxy’s client does behind CONNECT is not HTTP to the origin.',
  upgrade: 'Nothing: WebSocket is not replayed.',
  loop: 'The mirror sees its own replay. Mirror production only, or name the source in the mirror’s filter.',
  method: 'Expected: you asked for it.',
  path: 'Expected: you asked for it.',
  sampledOut: 'Expected: you asked for it.',
  rateLimited: 'Expected where `--rate` is below the traffic. `--percent` chooses more evenly.',
  queueFull:
    'The origin is slower than the traffic. More `--connections` where it can take more at once, or a smaller `--percent`; larger `--queue-requests` and `--queue-bytes` where it is so for moments only.',
  circuitOpen:
    'The origin is down or refuses connections. Look at the outcomes `refused`, `unreachable`, `tls`, `connectTimeout`, `reset`.',
  unsendable:
    'Nothing: it would leave as something else than was captured ([replay.md](replay.md#what-is-never-sent-and-why)). `--engine wire` sends more of them than undici.',
  drainTimeout:
    'Look at the outcomes first: an origin that was slow or down at the stop has no answers to wait for. Otherwise raise `--drain-timeout-ms`, and the time the orchestrator gives before it kills.',
}

export const RESPONSE_DROP_ADVICE: Advice<typeof RESPONSE_DROP_HELP> = {
  gap: LOST,
  truncated: CUT,
  urgentData: SERVER,
  conflictingCopies: SERVER,
  multipath: 'As for [requests](#request-multipath).',
  incomplete: SERVER,
  expired: SERVER,
  shardLost: 'Read the log: it names the error of the worker that died.',
  statusLine: SERVER,
  head: SERVER,
  headerTooLarge: 'Raise `--max-head-bytes` if your servers send longer heads.',
  tooManyHeaders: 'Raise `--max-headers` if your servers send more header lines.',
  framing: SERVER,
  chunk: SERVER,
  memoryLimit: 'As for [requests](#request-memoryLimit).',
}

export const OUTCOME_ADVICE: Advice<typeof OUTCOME_HELP> = {
  '1xx': 'Look at the origin: replay never asks for a switch of protocols.',
  '2xx': 'Nothing.',
  '3xx': 'Nothing.',
  '4xx': 'Compare with production. Sessions, tokens and data that only production has end here.',
  '5xx': 'This is what replay is for: look at the origin’s log.',
  refused: 'Start the origin, or correct `--to`.',
  unreachable: 'Correct `--to`, the name, or the route.',
  tls: '`--tls-ca` for a private authority, `--tls-server-name` where the certificate has another name than `--to`, `--tls-cert` where the origin asks for one; else check its certificate.',
  connectTimeout: 'A firewall drops, or the origin’s backlog is full. `--connect-timeout-ms`.',
  reset:
    'The origin closes connections early: its keep-alive time-out should be above `--keep-alive-timeout-ms`. POST is never sent twice, so it shows here.',
  timeout:
    'The origin is too slow: `--headers-timeout-ms`, `--body-timeout-ms`, `--request-timeout-ms` say what is too slow.',
  truncated: 'The origin broke off its answer: look at its log.',
  answerTooLarge: 'Leave out what is answered with an endless stream (`--exclude`), or raise `--max-answer-bytes`.',
  invalid: 'Something else than HTTP/1 listens there, or the head is above 64 KiB.',
  null: 'Nothing: `--to null` was asked for.',
  printed: 'Nothing: `inspect`.',
}
