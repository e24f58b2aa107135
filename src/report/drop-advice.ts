/** What an operator can do about each reason, for docs/metrics.md. What a reason means stands with the reason, in base/drop.ts. */
import type { OUTCOME_HELP, PACKET_DROP_HELP, REQUEST_DROP_HELP, RESPONSE_DROP_HELP } from '../base/drop.ts'

/** One line for every reason of a table: a new reason does not compile without one. */
type Advice<T> = { readonly [K in keyof T]: string }

const MALFORMED =
  'Nothing if it is rare: such packets occur. If it is steady, capture some and find out what sends them.'
const TRUNCATED =
  'Raise the length limit of the mirror session, the MTU of the path to mirrorshard (encapsulation makes packets longer: [operations.md](operations.md#kernel-buffers)), or the snap length of the capture.'
const TRUNCATED_SOMEWHERE =
  'If `mirrorshard_packets_truncated_here_total` grows, raise `--datagram-bytes`: mirrorshard truncated. If `mirrorshard_packets_truncated_total` grows, the mirror or the capture did: raise its length limit, the MTU of the path, or the snap length ([operations.md](operations.md#kernel-buffers)).'
const LOST =
  'Find out who lost the packets: mirrorshard (`shed`, `ringFull` and other reasons for packets), the kernel (`mirrorshard_kernel_drops_total`), or the mirror session or capture program (their own counts).'
const STRICT =
  'Nothing: two parsers could read it differently, so it is not sent. Check the client if it is one of yours.'
const SENDER =
  'Nothing: its length is certain, so only this message is dropped. Check the client if it is one of yours.'
const SERVER =
  'Nothing: captured responses are read for `inspect` and to know what follows a request. This loses no request.'

export const PACKET_DROP_ADVICE: Advice<typeof PACKET_DROP_HELP> = {
  ringFull:
    'The shards are too slow for the traffic. Use more `--workers` on more cores, less traffic (`--ports`, or a filter or fewer sources in the mirror), or a larger `--ring-bytes` if it only comes in bursts.',
  shed: 'As for `ringFull`. `mirrorshard_dispatch_shed_ratio` is the share of connections shed now. If one worker uses a whole core and the others are idle, a single connection is more than one worker can handle.',
  shardLost:
    'Read the log: it names the error of the worker that died. Raise `--shard-heap-mb` if it ran out of heap (cause `heap` of `mirrorshard_thread_deaths_total`).',
  receiverLost: 'Read the log: it names the error of the receiver that died.',
  sourceNotAllowed:
    'Name the networks of your mirror sources in `--allow-from`. Otherwise somebody else sends to the port.',
  vniNotAllowed: 'Expected where `--vni` is set. Otherwise compare it with the VNIs of the mirror sessions.',
  linkType:
    '[encapsulations.md](encapsulations.md#link-types-of-files-and-interfaces) lists those that are read. Capture Ethernet or raw IP, or convert the file.',
  linkTruncated: TRUNCATED,
  vlanDepth: 'Raise `--vlan-depth` if your network really stacks that many tags.',
  tunnelDepth: 'Raise `--tunnel-depth` if your network really nests that many tunnels.',
  datagramTruncated:
    'Raise `--datagram-bytes` above the longest mirrored datagram: mirrorshard truncated it, not the mirror. `/diagnose` and `mirrorshard doctor` say how long they are.',
  vxlanTruncated: MALFORMED,
  vxlanNoVni: 'Something other than VXLAN arrives at the port. Check the format in `--listen`.',
  gpeTruncated: MALFORMED,
  gpeProtocol: 'Nothing: it carries neither IP nor Ethernet.',
  geneveTruncated: MALFORMED,
  geneveVersion: 'Something other than GENEVE arrives at the port. Check the format in `--listen`.',
  geneveOptions: MALFORMED,
  geneveControl: 'Nothing: control packets carry no mirrored traffic.',
  geneveProtocol: 'Nothing: it carries neither IP nor Ethernet.',
  greTruncated: TRUNCATED,
  greVersion:
    'Nothing: source-routed GRE is obsolete, and version 1 is read where it carries PPP (PPTP) or Ethernet (EoIP).',
  mplsTruncated: TRUNCATED,
  pppoeTruncated: TRUNCATED,
  ipTruncated: TRUNCATED,
  ipVersion: MALFORMED,
  ipLength: MALFORMED,
  ipChecksum:
    'Leave `--verify-checksums` off for captures made on the sending machine: the network card fills in checksums later.',
  fragmentInvalid:
    'Nothing if it is rare. A steady count is an attack, or two senders that use one identification at once.',
  fragmentTruncated: TRUNCATED,
  fragmentLimit: 'Raise `--fragment-bytes` or `--fragment-datagrams`, or find out who sends so many fragments.',
  fragmentTimeout:
    'Fragments were lost before mirrorshard, or the input ended between them. Set an MTU that leaves room for the encapsulation.',
  tcpTruncated: TRUNCATED,
  tcpLength: MALFORMED,
  tcpChecksum:
    'Leave `--verify-checksums` off for captures made on the sending machine: the network card fills in checksums later. Nothing if it is off: fragments of two packets were mixed up.',
  flowLimit:
    'Raise `--max-flows` (and `--memory-limit`). Closed, half-open and silent connections were evicted first; `mirrorshard_flows_evicted_total` counts the open ones. See [memory.md](memory.md#what-is-evicted).',
  connectionLimit:
    'Raise `--connection-bytes` or `--memory-limit`: [memory.md](memory.md#what-is-evicted). A sudden count is a flood of connections that each begin a request and do not finish it.',
  tunnelTruncated: TRUNCATED,
  frameProtected:
    'Capture on the wired side of the access point, or decrypt the capture first (airdecap-ng, or Wireshark’s export).',
  frameFragment: 'Capture on the wired side of the access point, where packets are whole.',
  frameAggregate: 'Capture on the wired side of the access point, where each packet has its own frame.',
  frameDamaged: 'Nothing: the receiver did not accept the frame either, and the sender retransmits it.',
}

export const REQUEST_DROP_ADVICE: Advice<typeof REQUEST_DROP_HELP> = {
  gap: LOST,
  truncated: TRUNCATED_SOMEWHERE,
  urgentData:
    'Nothing: urgent data has no use in HTTP. A steady count is a client that does not speak HTTP, or an attempt at request smuggling.',
  conflictingCopies:
    'Nothing if it is rare. A steady count is a middlebox that alters what it retransmits, or somebody who forges packets for request smuggling.',
  multipath:
    'Capture behind the host that terminates multipath TCP (a load balancer speaks plain TCP to its servers), or turn it off on these servers (`net.mptcp.enabled`).',
  incomplete: 'Expected for requests under way when the capture or the connection ended. Otherwise as for `gap`.',
  expired: 'Clients that send slower than `--flow-idle-timeout-ms`, or packets lost at the end of a connection.',
  shardLost:
    'Read the log: it names the error of the worker that died. Some of these may have been sent already: [decision 3](decisions/0003-counters-by-sequence-lock.md).',
  requestLine: SENDER,
  version: STRICT,
  bareLf: STRICT,
  bareCr: STRICT,
  nul: STRICT,
  obsFold: STRICT,
  headerName: STRICT,
  headerTooLarge: 'Raise `--max-head-bytes` if your servers accept longer heads.',
  tooManyHeaders: 'Raise `--max-headers` if your servers accept more header lines.',
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
  behindClose: 'Nothing: the server never read it. Check the client if it is one of yours.',
  bodyTooLarge: 'Raise `--max-body-bytes`. Mind the memory: bodies are held whole.',
  memoryLimit:
    'Raise `--message-bytes` or `--memory-limit`, or lower `--max-body-bytes`. A sudden count is a flood of messages that never end.',
  connect: 'Nothing: what a proxy’s client sends after CONNECT is not HTTP to the origin.',
  upgrade: 'Nothing: what follows an upgrade to WebSocket is not HTTP.',
  loop: 'The mirror sees its own replay. Check first that `--to` is not production. Mirror production only, or exclude the replay in the mirror’s filter.',
  method: 'Expected: you asked for it.',
  path: 'Expected: you asked for it.',
  host: 'Expected: you asked for it.',
  status: 'Expected: you asked for it. Requests whose answer the mirror does not carry are among them.',
  sampledOut: 'Expected: you asked for it.',
  rateLimited: 'Expected if `--rate` is below the traffic. `--percent` chooses more evenly.',
  queueFull:
    'The origin is slower than the traffic. Use more `--connections` if it can take more at once, or a smaller `--percent`. If it is slow for moments only, use larger `--queue-requests` and `--queue-bytes`.',
  circuitOpen:
    'The origin is down or refuses connections. Check the outcomes `refused`, `unreachable`, `tls`, `connectTimeout`, `reset`.',
  unsendable:
    'Nothing: it could only be sent altered ([replay.md](replay.md#what-is-never-sent-and-why)). `--engine wire` can send more of them than undici.',
  drainTimeout:
    'Check the outcomes first: an origin that was slow or down at the stop gives no answers to wait for. Otherwise raise `--drain-timeout-ms`, and the time the orchestrator allows before it kills.',
}

export const RESPONSE_DROP_ADVICE: Advice<typeof RESPONSE_DROP_HELP> = {
  gap: LOST,
  truncated: TRUNCATED_SOMEWHERE,
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
  '1xx': 'Check the origin: replay never asks to switch protocols.',
  '2xx': 'Nothing.',
  '3xx': 'Nothing.',
  '4xx': 'Compare with production. Sessions, tokens and data that only production has end up here.',
  '5xx': 'This is what replay is for: check the origin’s log.',
  refused: 'Start the origin, or correct `--to`.',
  unreachable: 'Correct `--to`, the name, or the route.',
  tls: 'Use `--tls-ca` for a private authority, `--tls-server-name` if the certificate has another name than `--to`, `--tls-cert` if the origin asks for one. Otherwise check its certificate.',
  connectTimeout:
    'A firewall drops packets, or the origin’s backlog is full. Raise `--connect-timeout-ms` if it is only slow.',
  reset:
    'The origin closes connections early: its keep-alive time-out should be longer than `--keep-alive-timeout-ms`. A POST is never sent twice, so it shows here.',
  timeout:
    'The origin is too slow. `--headers-timeout-ms`, `--body-timeout-ms` and `--request-timeout-ms` define what is too slow.',
  truncated: 'The origin broke off its answer: check its log.',
  answerTooLarge:
    'Exclude requests that are answered with an endless stream (`--exclude`), or raise `--max-answer-bytes`.',
  invalid: 'Something other than HTTP/1 listens there, or the head is longer than 64 KiB.',
  null: 'Nothing: `--to null` was asked for.',
  printed: 'Nothing: `inspect`.',
}
