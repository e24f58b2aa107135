/**
 * Which reasons are told together in the log while they last: a few kinds of loss that an operator tells apart, not a line for each reason. The
 * compiler asks for a place of every reason.
 */
import type { OUTCOME_HELP, PACKET_DROP_HELP, REQUEST_DROP_HELP } from '../base/drop.ts'

export interface LossGroup {
  /** Begins the sentence; the reasons with their counts follow. */
  readonly text: string
  /** What is counted. */
  readonly unit: 'packet' | 'datagram' | 'gap' | 'request'
}

/** Also the names of the events that tell that it began. */
export const LOSS_GROUPS = {
  'kernel-drops': { text: 'the kernel drops mirrored packets because the receive buffer is full', unit: 'packet' },
  overload: { text: 'packets are shed because the workers cannot keep up', unit: 'packet' },
  'memory-bound': { text: 'packets or requests are dropped because a memory bound is reached', unit: 'packet' },
  truncated: { text: 'packets arrive truncated', unit: 'packet' },
  'fragments-lost': { text: 'IP fragments do not come together', unit: 'datagram' },
  gaps: { text: 'packets of mirrored connections never arrived', unit: 'gap' },
  'not-allowed': { text: 'packets come from a source or VNI that is not allowed', unit: 'packet' },
  'not-read': { text: 'packets arrive that cannot be read', unit: 'packet' },
  'requests-incomplete': { text: 'requests are dropped because bytes of them are missing', unit: 'request' },
  'requests-unfinished': { text: 'connections end inside a request', unit: 'request' },
  'requests-refused': { text: 'requests are dropped because they are malformed or ambiguous', unit: 'request' },
  'requests-over-limit': { text: 'requests are dropped because they are over a limit', unit: 'request' },
  'replay-loop': { text: 'the mirror sees its own replay', unit: 'request' },
  'origin-slow': { text: 'requests are dropped because the origin does not keep up', unit: 'request' },
  unanswered: { text: 'requests were sent and got no complete answer', unit: 'request' },
} as const satisfies Readonly<Record<string, LossGroup>>

export type LossName = keyof typeof LOSS_GROUPS

/** Null: not a loss (it was asked for), or told in another way. */
type Grouping<T> = { readonly [K in keyof T]: LossName | null }

export const PACKET_LOSS: Grouping<typeof PACKET_DROP_HELP> = {
  ringFull: 'overload',
  shed: 'overload',
  // Told with the thread's death and return.
  shardLost: null,
  receiverLost: null,
  sourceNotAllowed: 'not-allowed',
  vniNotAllowed: 'not-allowed',
  linkType: 'not-read',
  linkTruncated: 'truncated',
  vlanDepth: 'not-read',
  tunnelDepth: 'not-read',
  datagramTruncated: 'truncated',
  vxlanTruncated: 'not-read',
  vxlanNoVni: 'not-read',
  gpeTruncated: 'not-read',
  gpeProtocol: 'not-read',
  geneveTruncated: 'not-read',
  geneveVersion: 'not-read',
  geneveOptions: 'not-read',
  geneveControl: 'not-read',
  geneveProtocol: 'not-read',
  greTruncated: 'truncated',
  greVersion: 'not-read',
  mplsTruncated: 'truncated',
  pppoeTruncated: 'truncated',
  ipTruncated: 'truncated',
  ipVersion: 'not-read',
  ipLength: 'not-read',
  ipChecksum: 'not-read',
  fragmentInvalid: 'fragments-lost',
  fragmentTruncated: 'truncated',
  fragmentLimit: 'memory-bound',
  fragmentTimeout: 'fragments-lost',
  tcpTruncated: 'truncated',
  tcpLength: 'not-read',
  tcpChecksum: 'not-read',
  flowLimit: 'memory-bound',
  connectionLimit: 'memory-bound',
  tunnelTruncated: 'truncated',
  frameProtected: 'not-read',
  frameFragment: 'not-read',
  frameAggregate: 'not-read',
  frameDamaged: 'not-read',
}

export const REQUEST_LOSS: Grouping<typeof REQUEST_DROP_HELP> = {
  gap: 'requests-incomplete',
  truncated: 'requests-incomplete',
  urgentData: 'requests-refused',
  conflictingCopies: 'requests-refused',
  multipath: 'requests-refused',
  incomplete: 'requests-unfinished',
  expired: 'requests-unfinished',
  // Told with the thread's return.
  shardLost: null,
  requestLine: 'requests-refused',
  version: 'requests-refused',
  bareLf: 'requests-refused',
  bareCr: 'requests-refused',
  nul: 'requests-refused',
  obsFold: 'requests-refused',
  headerName: 'requests-refused',
  headerTooLarge: 'requests-over-limit',
  tooManyHeaders: 'requests-over-limit',
  lengthAndChunked: 'requests-refused',
  contentLength: 'requests-refused',
  repeatedLength: 'requests-refused',
  transferCoding: 'requests-refused',
  connectBody: 'requests-refused',
  chunkSize: 'requests-refused',
  chunkEnd: 'requests-refused',
  trailer: 'requests-refused',
  earlyAnswer: 'requests-refused',
  behindClose: 'requests-refused',
  bodyTooLarge: 'requests-over-limit',
  memoryLimit: 'memory-bound',
  connect: null,
  upgrade: null,
  loop: 'replay-loop',
  method: null,
  path: null,
  host: null,
  status: null,
  sampledOut: null,
  rateLimited: null,
  queueFull: 'origin-slow',
  circuitOpen: 'origin-slow',
  unsendable: 'requests-refused',
  // At the end of a run; the summary tells it.
  drainTimeout: null,
}

export const OUTCOME_LOSS: Grouping<typeof OUTCOME_HELP> = {
  '1xx': null,
  '2xx': null,
  '3xx': null,
  '4xx': null,
  '5xx': null,
  refused: 'unanswered',
  unreachable: 'unanswered',
  tls: 'unanswered',
  connectTimeout: 'unanswered',
  reset: 'unanswered',
  timeout: 'unanswered',
  truncated: 'unanswered',
  invalid: 'unanswered',
  answerTooLarge: 'unanswered',
  null: null,
  printed: null,
}
