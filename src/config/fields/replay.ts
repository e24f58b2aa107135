/** What is sent, and how: options of run and replay. */

import * as z from 'zod'
import { parseOrigin, parseServerName } from '../addresses.ts'
import { optional, required, unset } from '../field.ts'
import { bytes, choice, durationMs, integer, type Kind, listOf, number, parsed, taken, truth } from '../kind.ts'
import { filePath, glob, method, rate, sampleBy } from '../text-kinds.ts'

const origin = {
  // YAML's null is the word `null` too.
  schema: z
    .union([z.string(), z.null()])
    .transform((raw, context) => (raw === null ? null : taken(parseOrigin(raw), context))),
  expected: 'an origin such as http://staging:8080, or null to discard',
  fromText: (text: string): unknown => text,
} satisfies Kind

/** A path may hold a comma, but no blank. */
const globs = listOf(glob, { separator: /\s+/ })

const HOUR_MS = 3_600_000

/** Of doctor, beside those of run. */
export const DOCTOR_FIELDS = {
  to: unset(origin, 'none', {
    group: 'Replay',
    value: 'URL|null',
    help: 'The origin to try: its name, TCP and TLS. No request is sent.',
  }),
  json: optional(truth, false, { group: 'Output', help: 'Print one JSON object instead of a table.' }),
}

/** What leaves. */
export const REPLAY_FIELDS = {
  to: required(origin, {
    group: 'Replay',
    value: 'URL|null',
    help: 'Where to send requests: scheme, host and port. null reads and parses everything and sends nothing.',
  }),
  percent: optional(number(0, 100, 'a number from 0 to 100'), 100, {
    reloads: true,
    group: 'Replay',
    value: 'P',
    help: 'Share of the requests to send.',
  }),
  sampleBy: optional(
    sampleBy,
    { by: 'connection' },
    {
      reloads: true,
      group: 'Replay',
      value: 'KEY',
      help: 'What --percent keeps or drops as a unit: random (each request), connection, client (address), header:NAME (its value).',
      reason: 'A whole connection keeps its session intact.',
    },
  ),
  methods: unset(listOf(method), 'all', {
    reloads: true,
    group: 'Replay',
    value: 'GET,HEAD,…',
    help: 'Methods to send.',
    reason: 'GET,HEAD is a careful start with an environment whose state must not change.',
  }),
  include: unset(globs, 'all', {
    reloads: true,
    group: 'Replay',
    value: 'GLOB',
    help: 'Send only requests whose path matches; may be repeated. * is any run of characters, / among them, ? is one.',
  }),
  exclude: unset(globs, 'none', {
    reloads: true,
    group: 'Replay',
    value: 'GLOB',
    help: 'Do not send requests whose path matches; may be repeated. Wins over --include.',
  }),
  rate: unset(rate, 'no limit', {
    reloads: true,
    group: 'Replay',
    value: 'N/s',
    help: 'Most requests per second. Beyond it live requests are dropped and counted; files wait.',
  }),
  keepHost: optional(truth, false, {
    reloads: true,
    group: 'Replay',
    help: 'Keep the captured Host header.',
    reason:
      'By default Host is that of the origin: it is another site than production, and virtual hosts are chosen by this header.',
  }),
  order: optional(choice('connection', 'none'), 'connection', {
    group: 'Replay',
    value: 'connection|none',
    help: 'connection: requests of one captured connection are sent in order, one at a time.',
    reason: 'A request often needs what the one before it did. Connections do not wait for each other.',
  }),
  engine: optional(choice('wire', 'undici'), 'wire', {
    group: 'Replay',
    value: 'wire|undici',
    help: 'The HTTP client: wire writes the captured bytes, undici is the client of that name (docs/replay.md lists the differences).',
    reason: 'It changes less and needs a fraction of the CPU: native-notes/2026-11-24-wire-engine.md.',
  }),
  tlsCa: unset(filePath, 'Node’s own list', {
    group: 'Replay',
    value: 'FILE',
    help: 'PEM file of certificate authorities to trust for an https origin.',
  }),
  tlsCert: unset(filePath, 'none', {
    group: 'Replay',
    value: 'FILE',
    help: 'PEM file of the client certificate for an https origin that asks for one, followed by its chain. Needs --tls-key.',
  }),
  tlsKey: unset(filePath, 'none', {
    group: 'Replay',
    value: 'FILE',
    help: 'PEM file of the private key of --tls-cert, unencrypted and not readable by everybody.',
  }),
  tlsServerName: unset(parsed('a DNS name such as staging.internal', parseServerName), 'the host of --to', {
    group: 'Replay',
    value: 'NAME',
    help: 'Name sent in the TLS handshake (SNI), which the origin’s certificate must contain.',
    reason: 'For an origin reached by address, or by a name that is not in its certificate.',
  }),
  tlsInsecure: optional(truth, false, {
    group: 'Replay',
    help: 'Accept any certificate of the origin.',
    reason: 'With it anyone on the path can read and answer the requests: for test environments only.',
  }),
}

/** How connections to the origin behave. */
export const ORIGIN_FIELDS = {
  connections: optional(integer(1, 65_535), 64, {
    group: 'Connections to the origin (advanced)',
    value: 'N',
    help: 'Most connections to the origin, for the whole process. This is also the most requests in flight.',
    reason: 'At 10 ms per answer, 64 connections carry 6,400 requests/s.',
  }),
  queueRequests: optional(integer(1, 10_000_000), 10_000, {
    group: 'Connections to the origin (advanced)',
    value: 'N',
    help: 'Most requests waiting for a connection, for the whole process. Beyond it live requests are dropped from the longest per-connection queue and counted; files wait.',
    reason: 'Bridges a slow second of the origin; a longer one shows in the counters instead of in memory.',
  }),
  queueBytes: optional(bytes(64 * 1024, 64 * 1024 ** 3), 64 * 1024 ** 2, {
    group: 'Connections to the origin (advanced)',
    value: 'BYTES',
    help: 'Most memory for requests waiting or in flight, for the whole process.',
    reason: 'Requests with large bodies reach this before they reach --queue-requests.',
  }),
  connectTimeoutMs: optional(durationMs(1, HOUR_MS), 5000, {
    group: 'Connections to the origin (advanced)',
    value: 'MS',
    help: 'Longest wait for a connection, TLS included.',
    reason: 'Long enough for one lost SYN (3 s on old systems).',
  }),
  headersTimeoutMs: optional(durationMs(1, HOUR_MS), 30_000, {
    group: 'Connections to the origin (advanced)',
    value: 'MS',
    help: 'Longest wait for the head of an answer.',
    reason: 'Test environments are slower than production; most gateways give up at 30 to 60 s.',
  }),
  bodyTimeoutMs: optional(durationMs(1, HOUR_MS), 30_000, {
    group: 'Connections to the origin (advanced)',
    value: 'MS',
    help: 'Longest silence inside the body of an answer.',
    reason: 'As --headers-timeout-ms.',
  }),
  requestTimeoutMs: optional(durationMs(1, 24 * HOUR_MS), 60_000, {
    group: 'Connections to the origin (advanced)',
    value: 'MS',
    help: 'Longest time for a whole exchange with the origin.',
    reason: 'A slowly dripping answer passes every other time-out and would hold its connection for ever.',
  }),
  maxAnswerBytes: optional(bytes(64 * 1024, 1024 ** 4), 1024 ** 3, {
    group: 'Connections to the origin (advanced)',
    value: 'BYTES',
    help: 'An answer with more bytes than this is aborted and counted as answerTooLarge.',
    reason:
      'Answers are discarded as they arrive and take no memory, but an endless one would use the network until --request-timeout-ms. 1 GiB is more than ordinary downloads.',
  }),
  keepAliveTimeoutMs: optional(durationMs(1, HOUR_MS), 4000, {
    group: 'Connections to the origin (advanced)',
    value: 'MS',
    help: 'Close a connection after this long idle. Keep it below the origin’s own time-out.',
    reason:
      'If the origin closes first, a request may be lost in flight. Its time-out is rarely shorter than 5 s, Node’s default.',
  }),
  circuitFailures: optional(integer(1, 1_000_000), 16, {
    group: 'Connections to the origin (advanced)',
    value: 'N',
    help: 'Consecutive connection failures that open the circuit breaker.',
    reason: 'A restart of one of several servers of the origin stays below it.',
  }),
  circuitOpenMs: optional(durationMs(1, 15_000), 1000, {
    group: 'Connections to the origin (advanced)',
    value: 'MS',
    help: 'First pause of the open circuit breaker; each further one is twice as long, up to 15 s.',
    reason: 'A recovered origin is found within one pause.',
  }),
}

/** Of run: files are sent to their end. */
export const DRAIN_FIELDS = {
  drainTimeoutMs: optional(durationMs(0, HOUR_MS), 15_000, {
    reloads: true,
    group: 'Connections to the origin (advanced)',
    value: 'MS',
    help: 'Longest wait for requests that are still queued or in flight when the service stops.',
    reason: 'Half of the 30 s that orchestrators usually allow before they kill a process.',
  }),
}
