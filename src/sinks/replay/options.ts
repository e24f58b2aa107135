/** What the replay sink can be told. The configuration schema makes it; the defaults and their reasons stand here. */
import { MirrorError } from '../../base/errors.ts'
import { SELECT_ALL, type SelectionOptions } from '../filter/selection.ts'
import type { EngineName, EngineOptions } from './engine.ts'

export interface ReplaySinkOptions extends SelectionOptions, EngineOptions {
  /** `connection`: the requests of a captured connection leave in order, one at a time. `none`: each as soon as it can. */
  readonly order: 'connection' | 'none'
  readonly engine: EngineName
  /** Live traffic: what is over a bound is dropped and counted. Otherwise `hasRoom` holds back the feeder and nothing is. */
  readonly shed: boolean
  /** Requests queued at most, those in flight apart. */
  readonly queueRequests: number
  /** Bytes of heads and bodies held at most, those in flight included; one request is always taken. */
  readonly queueBytes: number
  /** Connection-level failures in a row that open the circuit breaker. */
  readonly circuitFailures: number
  /** First pause of the open circuit; doubles to `circuitMaxOpenMs`. */
  readonly circuitOpenMs: number
  readonly circuitMaxOpenMs: number
  /** Not `shed`: an origin that was down for this long without an answer in between is given up, requests are dropped at once. */
  readonly offlineGiveUpMs: number
}

export const REPLAY_DEFAULTS: Omit<ReplaySinkOptions, 'origin'> = {
  ...SELECT_ALL,
  /** Chosen: as many as a browser farm behind one proxy; the figures of native-notes are for 64. */
  connections: 64,
  /** native-notes/2026-11-24-wire-engine.md */
  engine: 'wire',
  order: 'connection',
  keepHost: false,
  shed: true,
  /** Half a second at 20,000 requests/s. */
  queueRequests: 10_000,
  queueBytes: 64 * 1024 * 1024,
  connectTimeoutMs: 5_000,
  headersTimeoutMs: 30_000,
  bodyTimeoutMs: 30_000,
  requestTimeoutMs: 60_000,
  /** Below the shortest common server default (5 s of Node's http server). */
  keepAliveTimeoutMs: 4_000,
  maxAnswerBytes: 1024 ** 3,
  circuitFailures: 5,
  circuitOpenMs: 500,
  circuitMaxOpenMs: 15_000,
  offlineGiveUpMs: 5_000,
}

/** @throws MirrorError ERR_ORIGIN when the URL says more, or less, than where the origin is */
export function checkOrigin(origin: URL): void {
  const problem =
    origin.protocol !== 'http:' && origin.protocol !== 'https:'
      ? `a URL with http: or https:, got ${origin.protocol}`
      : origin.hostname === ''
        ? 'a host name or address'
        : origin.username !== '' || origin.password !== ''
          ? 'no user name or password (requests keep their own Authorization)'
          : origin.pathname !== '/' || origin.search !== '' || origin.hash !== ''
            ? `no path, query or fragment (requests keep their own target), got ${origin.pathname}${origin.search}${origin.hash}`
            : null
  if (problem !== null) {
    throw new MirrorError('ERR_ORIGIN', `the origin to replay to must be like http://staging:8080: expected ${problem}`)
  }
}
