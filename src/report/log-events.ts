/**
 * Everything worth a line in the log, in one table: name, level, fields, what it means and what to do. docs/log.md is made from it. A name
 * does not change its meaning; fields are only added.
 */
import type { LossName } from './loss-groups.ts'

export interface LogEventEntry {
  readonly level: 'info' | 'warn' | 'error'
  readonly means: string
  readonly todo: string
  readonly fields: readonly FieldName[]
  /** It tells that something is over. */
  readonly isEnd?: true
  /** A step of the run itself: never held back, however many lines there were. */
  readonly isStep?: true
  /** Lines a minute of one subject that it begins, or where this is an end that it ends; default 1. */
  readonly perMinute?: number
}

/** Fields of JSON lines that more than one event has, or that need a word. */
export const FIELD_HELP = {
  admin: 'Address of the admin server, or null.',
  asked: 'Bytes of receive buffer that were asked for.',
  causeText: 'The cause in words.',
  changed: 'Options that changed: `name`, `from`, `to`.',
  circuitsOpen: 'Workers whose circuit breaker is open.',
  code: 'Code of the error: a system, DNS or TLS code such as `ECONNREFUSED`, or one of ours (`ERR_…`); null where there is none.',
  config: 'The configuration file.',
  count: 'How many, since it began.',
  deaths: 'Deaths in a row.',
  details: 'The counts that a finding stands on, as in `/diagnose`.',
  dropped: 'Requests dropped meanwhile (`circuitOpen`, `queueFull`).',
  errno: 'Name of the system’s error.',
  failed: 'Requests that were sent, or tried, and got no answer meanwhile.',
  finding: 'Code of the finding, such as `noPackets`.',
  granted: 'Bytes of receive buffer that the kernel granted.',
  held: 'Requests read and not yet ended.',
  inFlight: 'Requests sent and not answered.',
  listen: 'Addresses that packets are taken from.',
  loss: 'Name of the event that told that it began.',
  lost: 'Lines that nobody read in time.',
  needRestart: 'Options that changed and need a restart.',
  origin: 'HOST:PORT of the origin.',
  originAnswers: 'False while the circuit breaker of a worker is open.',
  outcome: 'The outcome that these requests are counted as ([metrics.md](metrics.md#outcomes-of-requests)).',
  packetsLost: 'Packets that the thread held.',
  queued: 'Requests that wait to be sent.',
  reason: 'Why, in words.',
  reasons: 'Count by reason, as in the metrics; in `loss-ended` since it began.',
  receiveBufferBytes: 'Bytes of receive buffer, for each socket.',
  receiver: 'Number of the receiving thread, from 0; in `receiving` how packets are received.',
  receivers: 'Receiving threads.',
  requestsLost: 'Requests that the thread held.',
  restartMs: 'Milliseconds until the restart.',
  seconds: 'How long it took or lasted; in `first-…` since the start.',
  secondsLeft: 'Seconds until `--drain-timeout-ms` ends the wait.',
  severity: '`wrong`: nothing useful arrives or leaves; `warning`: a part does not.',
  shard: 'Number of the worker, from 0.',
  share: 'Share of the answers, 0 to 1.',
  signal: 'The signal that ends the run.',
  status: 'Class of the status, such as `2xx`.',
  suppressed: 'Lines that were held back.',
  thread: 'The thread, such as `worker 0`.',
  to: 'Where requests go.',
  workers: 'Workers.',
} as const satisfies Readonly<Record<string, string>>
export type FieldName = keyof typeof FIELD_HELP

const ORIGIN_FIELDS = [
  'origin',
  'outcome',
  'code',
  'causeText',
  'failed',
  'dropped',
  'circuitsOpen',
  'workers',
] as const
/** An outage often begins with connections that are reset, and goes on with ones that are refused. */
const CAUSES = 2
const LOSS_FIELDS = ['reasons', 'count'] as const
const METRICS = '[its reasons](metrics.md#why-packets-are-dropped) say what to do'
const REQUESTS = '[their reasons](metrics.md#why-requests-are-dropped) say what to do'

const LOSSES = {
  'kernel-drops': {
    level: 'warn',
    means: 'The receive buffer was full: packets were lost before mirrorshard could read them.',
    todo: 'Raise `--receive-buffer-bytes` and `net.core.rmem_max`, or use `--receivers 2`: [kernel buffers](operations.md#kernel-buffers).',
    fields: LOSS_FIELDS,
  },
  overload: {
    level: 'warn',
    means:
      'The workers cannot keep up, so whole connections are shed (`shed`), or single packets dropped (`ringFull`).',
    todo: 'More `--workers` on more cores, or less traffic: [tuning](performance.md#tuning).',
    fields: LOSS_FIELDS,
  },
  'memory-bound': {
    level: 'warn',
    means: 'A bound of memory is reached: a flood, or more connections and messages than fit.',
    todo: 'Raise `--memory-limit`: [memory.md](memory.md#what-is-evicted).',
    fields: LOSS_FIELDS,
  },
  gaps: {
    level: 'warn',
    means:
      'Bytes of mirrored connections never arrived. Unless `kernel-drops`, `overload`, `memory-bound`, `truncated` or `fragments-lost` stands beside it, they were lost before mirrorshard.',
    todo: 'Look at the counts of the mirror session (its bandwidth, its packet rate) and of the network on the way; check that both directions are mirrored.',
    fields: LOSS_FIELDS,
  },
  truncated: {
    level: 'warn',
    means:
      'Packets are shorter than they say. `datagramTruncated` is our own doing (`--datagram-bytes`); the others came truncated.',
    todo: 'Raise `--datagram-bytes`, the length limit of the mirror session, or the MTU of the path: [truncated packets](operations.md#kernel-buffers).',
    fields: LOSS_FIELDS,
  },
  'fragments-lost': {
    level: 'warn',
    means:
      'Fragments of IP datagrams were lost, or contradict each other. `kernelReassemblyFailed` counts those of the whole network namespace.',
    todo: 'Set an MTU that leaves room for the encapsulation: [kernel buffers](operations.md#kernel-buffers).',
    fields: LOSS_FIELDS,
  },
  'not-allowed': {
    level: 'warn',
    means: 'Packets were refused because of `--allow-from` or `--vni`.',
    todo: 'Add the mirror source’s network or VNI, or find out who else sends to the port.',
    fields: LOSS_FIELDS,
  },
  'not-read': {
    level: 'warn',
    means: 'Packets arrive that are malformed, or in a format that is not read.',
    todo: `Check the format in \`--listen\`; ${METRICS}.`,
    fields: LOSS_FIELDS,
  },
  'requests-incomplete': {
    level: 'warn',
    means:
      'Requests were dropped because packets of them were lost or truncated: they are never sent with bytes missing.',
    todo: 'As for `gaps`, `truncated`, `kernel-drops` or `overload`, whichever stands beside it.',
    fields: LOSS_FIELDS,
  },
  'requests-unfinished': {
    level: 'info',
    means: 'Clients went away, or fell silent, inside a request.',
    todo: `Nothing if it is rare; ${REQUESTS}.`,
    fields: LOSS_FIELDS,
  },
  'requests-refused': {
    level: 'info',
    means: 'Requests were dropped because they are malformed, can be read in two ways, or cannot be sent unaltered.',
    todo: `Nothing if it is rare; ${REQUESTS}.`,
    fields: LOSS_FIELDS,
  },
  'requests-over-limit': {
    level: 'warn',
    means: 'Requests were dropped because their head or body is over a limit.',
    todo: `Raise \`--max-head-bytes\`, \`--max-headers\` or \`--max-body-bytes\`; ${REQUESTS}.`,
    fields: LOSS_FIELDS,
  },
  'replay-loop': {
    level: 'error',
    means: 'Requests arrive that carry our own mark: the mirror sees what was replayed. They are not sent again.',
    todo: 'Check that `--to` is not production. Mirror production only, or exclude the replay in the mirror’s filter.',
    fields: LOSS_FIELDS,
  },
  'origin-slow': {
    level: 'warn',
    means:
      'The origin answers more slowly than requests come, and the queue is full; or some workers cannot reach it (`circuitOpen`).',
    todo: 'More `--connections` if the origin can take more at once, or a smaller `--percent`.',
    fields: LOSS_FIELDS,
  },
  unanswered: {
    level: 'warn',
    means: 'Part of the requests got no complete answer, while others may have.',
    todo: 'Look at the origin: [the outcomes](metrics.md#outcomes-of-requests) say what happened.',
    fields: LOSS_FIELDS,
  },
} as const satisfies { readonly [K in LossName]: LogEventEntry }

const LIFE = {
  receiving: {
    level: 'info',
    means: 'All threads run, and packets are taken.',
    todo: 'Nothing.',
    fields: ['listen', 'receiver', 'receiveBufferBytes', 'receivers', 'workers', 'to', 'admin'],
    isStep: true,
  },
  'first-packet': {
    level: 'info',
    means: 'The first mirrored packet has come.',
    todo: 'Nothing. Where it does not come, the mirror, its route or a firewall is at fault.',
    fields: ['seconds'],
    isStep: true,
  },
  'first-request': {
    level: 'info',
    means: 'The first HTTP request was recognised.',
    todo: 'Nothing.',
    fields: ['seconds'],
    isStep: true,
  },
  'first-answer': {
    level: 'info',
    means: 'The origin answered for the first time.',
    todo: 'Nothing.',
    fields: ['origin', 'status', 'seconds'],
    isStep: true,
  },
  options: {
    level: 'warn',
    means:
      'Something about the options that does not keep it from starting, such as an environment variable that is not read.',
    todo: 'Read the sentence. A line of text, unless `--log-format json` is given.',
    fields: [],
    isStep: true,
  },
  'receive-buffer': {
    level: 'warn',
    means: 'The kernel granted less receive buffer than was asked for: bursts may be lost.',
    todo: 'Raise `net.core.rmem_max`, or give CAP_NET_ADMIN, and restart: [kernel buffers](operations.md#kernel-buffers).',
    fields: ['granted', 'asked'],
    isStep: true,
  },
  finding: {
    level: 'warn',
    means:
      'Nothing useful arrives, or nothing is replayed, and this is why. Told within 10 s, and again each minute while it lasts; then it is told no more. [All findings](diagnose.md#findings).',
    todo: 'What the sentence says; `/diagnose` and `mirrorshard doctor` have the counts it stands on.',
    fields: ['finding', 'severity', 'details'],
    isStep: true,
  },
  'admin-waits': {
    level: 'warn',
    means: 'The admin address is in use, as during a hand-over. It is taken when it is free.',
    todo: 'End the process that has it. Until then these metrics cannot be scraped.',
    fields: ['admin'],
  },
  'admin-open': {
    level: 'info',
    means: 'The admin address is ours now.',
    todo: 'Nothing.',
    fields: ['admin'],
    isEnd: true,
  },
  'admin-failed': {
    level: 'error',
    means: 'The admin address cannot be had. Traffic is replayed all the same.',
    todo: 'Choose another `--admin`, and restart.',
    fields: ['admin'],
  },
  reloaded: {
    level: 'info',
    means: 'The configuration was read again, and what may change while it runs has.',
    todo: 'Nothing.',
    fields: ['config', 'changed'],
    isStep: true,
  },
  'reload-partly': {
    level: 'warn',
    means: 'Options differ that cannot change while it runs. They keep their values.',
    todo: 'Restart, or hand over to a new process.',
    fields: ['needRestart'],
    isStep: true,
  },
  'reload-refused': {
    level: 'warn',
    means: 'The configuration is invalid, or there is no file to read. Nothing changed.',
    todo: 'Mend the file at the place that is named, check it with `mirrorshard validate`, and send SIGHUP again.',
    fields: ['config'],
    isStep: true,
  },
  failing: {
    level: 'error',
    means: 'Receiving cannot continue. What came is finished, then the process exits with 1.',
    todo: 'Read the reason; the supervisor starts it again.',
    fields: ['code'],
    isStep: true,
  },
  'capture-pause': {
    level: 'info',
    means: 'The next packet of the capture is due in some seconds (`replay`).',
    todo: 'Nothing; `--speed max` does not wait.',
    fields: ['seconds'],
  },
  interrupted: {
    level: 'info',
    means: 'It was told to stop: what was read of the files is finished (`replay`, `inspect`).',
    todo: 'Nothing. Once more ends it at once.',
    fields: ['held'],
    isStep: true,
  },
  capturing: {
    level: 'info',
    means: '`capture` takes packets.',
    todo: 'Nothing.',
    fields: [],
    isStep: true,
  },
  captured: {
    level: 'info',
    means: '`capture` has ended.',
    todo: 'Nothing.',
    fields: ['count'],
    isStep: true,
  },
  draining: {
    level: 'info',
    means: 'It was told to stop: receiving has ended, and what was received is finished.',
    todo: 'Nothing. A second signal ends it at once.',
    fields: ['signal'],
    isStep: true,
  },
  'drain-progress': {
    level: 'info',
    means: 'What the drain still waits for, every few seconds.',
    todo: 'If the origin is down, a second signal ends the wait at once, with exit code 1.',
    fields: ['queued', 'inFlight', 'secondsLeft', 'origin', 'originAnswers'],
    isStep: true,
  },
  drained: {
    level: 'info',
    means: 'Everything received has ended: replayed, or dropped with a reason.',
    todo: 'Nothing. Requests dropped here are `drainTimeout`: raise `--drain-timeout-ms`, or look at the origin.',
    fields: ['seconds', 'dropped'],
    isStep: true,
  },
  summary: {
    level: 'info',
    means:
      'The final counts, with the keys of [the summary](summary.md). Written at every log level. With `--log-format text` it is several lines of words.',
    todo: 'Its first words say whether anything was lost, and where.',
    fields: [],
    isStep: true,
  },
} as const satisfies Readonly<Record<string, LogEventEntry>>

const TROUBLE = {
  'origin-down': {
    level: 'warn',
    means: 'No connection to the origin comes about, or new ones end without an answer. One line for all workers.',
    todo: 'Check that the origin runs and listens at this address, and firewalls between. Requests wait, then are dropped as `circuitOpen`.',
    fields: ORIGIN_FIELDS,
    perMinute: CAUSES,
  },
  'origin-name': {
    level: 'warn',
    means: 'The name in `--to` does not resolve.',
    todo: '`ENOTFOUND`: check the name. `EAI_AGAIN`: check the resolver (/etc/resolv.conf, network policy).',
    fields: ORIGIN_FIELDS,
    perMinute: CAUSES,
  },
  'origin-tls': {
    level: 'warn',
    means: 'The origin can be reached, and the TLS handshake fails; `causeText` says at which check.',
    todo: 'Mend the certificate, or name its CA in `--tls-ca`, its name in `--tls-server-name`, or ours in `--tls-cert`.',
    fields: ORIGIN_FIELDS,
    perMinute: CAUSES,
  },
  'origin-silent': {
    level: 'warn',
    means: 'Requests were sent, and none was answered for 10 s: the origin hangs, or a firewall swallows packets.',
    todo: 'Look at the origin and the network. Nothing, if its answers take that long.',
    fields: ['origin', 'inFlight', 'seconds'],
  },
  'origin-up': {
    level: 'info',
    means: 'The origin answers again.',
    todo: 'Nothing. `failed` and `dropped` say what it cost.',
    fields: ['origin', 'seconds', 'failed', 'dropped', 'circuitsOpen', 'workers'],
    isEnd: true,
  },
  'origin-errors': {
    level: 'warn',
    means:
      'More than half of the answers have been 5xx for some seconds: what stands behind the origin is broken, or dislikes the replay.',
    todo: 'Look at the origin’s log, and at its database and load balancer.',
    fields: ['origin', 'share', 'count'],
  },
  'origin-errors-ended': {
    level: 'info',
    means: 'Fewer than one in ten answers are 5xx again.',
    todo: 'Nothing.',
    fields: ['origin', 'count', 'seconds'],
    isEnd: true,
  },
  'worker-died': {
    level: 'warn',
    means: 'A worker ended; what it held is counted as `shardLost`. It is restarted.',
    todo: 'The sentence has the error. Out of heap: raise `--shard-heap-mb`. Otherwise please report it.',
    fields: ['shard', 'code', 'restartMs'],
    perMinute: 12,
  },
  'worker-back': {
    level: 'info',
    means: 'The worker runs again.',
    todo: 'Nothing.',
    fields: ['shard', 'seconds', 'packetsLost', 'requestsLost'],
    isEnd: true,
    perMinute: 12,
  },
  'receiver-died': {
    level: 'warn',
    means:
      'A receiving thread ended; what it held is counted as `receiverLost`. It is restarted, and its sockets queue meanwhile.',
    todo: 'The sentence has the error. Please report it.',
    fields: ['receiver', 'code', 'restartMs'],
    perMinute: 12,
  },
  'receiver-back': {
    level: 'info',
    means: 'The receiving thread runs again.',
    todo: 'Nothing.',
    fields: ['receiver', 'seconds', 'packetsLost'],
    isEnd: true,
    perMinute: 12,
  },
  'crash-loop': {
    level: 'error',
    means: 'A thread dies again and again; `/healthz` is 503.',
    todo: 'A bug or a lack of memory: report the message; try a larger `--shard-heap-mb`.',
    fields: ['thread', 'deaths'],
  },
  'crash-loop-ended': {
    level: 'info',
    means: 'The thread has lived for 15 s.',
    todo: 'Nothing.',
    fields: ['thread', 'seconds'],
    isEnd: true,
  },
  'health-bad': {
    level: 'warn',
    means: '`/healthz` answers 503: a load balancer takes the traffic away.',
    todo: '[What each reason means](operations.md#supervision-and-health).',
    fields: ['reason'],
  },
  'health-good': {
    level: 'info',
    means: '`/healthz` answers 200 again.',
    todo: 'Nothing.',
    fields: ['seconds'],
    isEnd: true,
  },
  'receive-failed': {
    level: 'warn',
    means: 'A system call that receives packets failed. It is tried again.',
    todo: '`ENOMEM`, `ENOBUFS`: the machine is short of memory. `ENETDOWN`: the interface is down.',
    fields: ['errno'],
  },
  'loss-ended': {
    level: 'info',
    means: 'What `loss` names has not happened for 30 s.',
    todo: 'Nothing; `count` and `reasons` say how much it was.',
    fields: ['loss', 'reasons', 'count', 'seconds'],
    isEnd: true,
  },
  'read-failed': {
    level: 'error',
    means: 'A capture file cannot be read, or not to its end (`replay`, `inspect`).',
    todo: 'The sentence names file and offset. What was read is processed; the exit code is 1.',
    fields: ['code'],
    perMinute: 60,
  },
  'pause-skipped': {
    level: 'warn',
    means: 'The capture pauses for longer than `--max-pause`, and part of that was skipped (`replay`).',
    todo: 'Nothing, or set `--max-pause`. A wrong time stamp looks the same.',
    fields: ['seconds'],
    perMinute: 10,
  },
  'capture-warning': {
    level: 'warn',
    means: 'A capture file is incomplete, or partly not read (`replay`, `inspect`).',
    todo: 'Read the sentence. What was read is processed.',
    fields: [],
    perMinute: 60,
  },
  'log-held-back': {
    level: 'warn',
    means: 'More than 60 lines a minute: the rest was held back. Of each kind the last one is told later.',
    todo: 'Look at the lines before it, and at the metrics, which count everything.',
    fields: ['suppressed'],
    isStep: true,
  },
  'log-lost': {
    level: 'warn',
    means: 'Whoever reads the log was too slow, and lines were lost.',
    todo: 'Read faster: the log never holds up the service.',
    fields: ['lost'],
    isStep: true,
  },
} as const satisfies Readonly<Record<string, LogEventEntry>>

/** Sections of the page, in its order. */
export const LOG_SECTIONS = { 'The run': LIFE, Trouble: TROUBLE, Losses: LOSSES } as const

export const LOG_EVENTS: Readonly<Record<EventName, LogEventEntry>> = { ...LIFE, ...TROUBLE, ...LOSSES }
export type EventName = keyof typeof LIFE | keyof typeof TROUBLE | keyof typeof LOSSES

export type EventDetails = Readonly<Record<string, unknown>>
/**
 * Tells an event.
 * @param sentence the same for a person
 * @param details fields of the JSON line: those that the table names
 * @param key what begins and ends under one key is limited together; default: the event's name
 */
export type TellEvent = (name: EventName, sentence: string, details?: EventDetails, key?: string) => void
