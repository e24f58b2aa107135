/**
 * docs/replay.md, "What changes, and nothing else", stated a second time as rules over lists of pairs: what an origin must see of a
 * request that we passed on. Nothing here is shared with what sends, but the list of fields that Connection cannot take away, which the page
 * refers to by name.
 */
import type { ConnectionFacts } from '../../src/exchange/connection.ts'
import type { EngineName } from '../../src/sinks/replay/engine.ts'
import { END_TO_END } from '../../src/sinks/replay/head-plan.ts'
import type { TakenRequest } from './our-reading.ts'

export interface ExpectedRequest {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
}

type Field = readonly [string, string]

const HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'http2-settings', 'expect']
const PLAIN_HOST = /^[A-Za-z0-9._~!$&'()*+,;=:%[\]\x80-\xff-]+$/
/** undici states the length of no body for these. */
const ALWAYS_WITH_LENGTH = ['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH']

/** @returns null for what never leaves */
export function expectedAtOrigin(
  taken: TakenRequest,
  from: ConnectionFacts,
  originHost: string,
  engine: EngineName,
): ExpectedRequest | null {
  const { method, body } = taken
  const is = ([name]: Field, wanted: string) => name.toLowerCase() === wanted
  const all = taken.headers
  const upgrades = all.filter((field) => is(field, 'upgrade')).flatMap(([, value]) => value.split(','))
  const isWebSocket = upgrades.some((item) => /^websocket\b/i.test(item.trim()))
  if (method === 'CONNECT' || isWebSocket || all.some((field) => is(field, 'x-mirrorshard'))) return null

  let { target } = taken
  let authority: string | null = null
  if (!target.startsWith('/') && target !== '*') {
    const [, userinfo = '', host, rest] = /^https?:\/\/([^/?#]*@)?([^/?#@]*)(.*)$/is.exec(target) ?? []
    if (host === undefined || !PLAIN_HOST.test(host) || userinfo.slice(0, -1).includes('@')) return null
    authority = host
    target = rest === '' ? (method === 'OPTIONS' ? '*' : '/') : rest!.startsWith('/') ? rest! : `/${rest}`
  }

  const nominated = new Set(
    all
      .filter((field) => is(field, 'connection'))
      .flatMap(([, value]) => value.split(','))
      .map((option) => option.replace(/^[ \t]+|[ \t]+$/g, '').toLowerCase())
      .filter(
        (name) => !END_TO_END.has(name) && name !== 'transfer-encoding' && name !== 'close' && name !== 'keep-alive',
      ),
  )
  const hosts = all.filter((field) => is(field, 'host'))
  let hostsSeen = 0
  let fields: Field[] = all
    .filter(([name]) => !HOP.includes(name.toLowerCase()) && !nominated.has(name.toLowerCase()))
    .filter((field) => !is(field, 'host') || hostsSeen++ === 0)
    .map((field): Field => (is(field, 'host') ? [field[0], originHost] : field))
    .map((field): Field => (is(field, 'transfer-encoding') ? ['Content-Length', String(body.length)] : field))
  if (hosts.length === 0) fields.unshift(['Host', originHost])

  const chain = fields.findLastIndex((field) => is(field, 'x-forwarded-for'))
  if (chain < 0) fields.push(['X-Forwarded-For', from.clientAddress])
  else {
    const [name, value] = fields[chain]!
    fields[chain] = [name, value === '' ? from.clientAddress : `${value}, ${from.clientAddress}`]
  }
  const addWhereAbsent = (name: string, value: string) => {
    if (!fields.some((field) => is(field, name.toLowerCase()))) fields.push([name, value])
  }
  addWhereAbsent('X-Forwarded-Port', String(from.serverPort))
  addWhereAbsent('X-Forwarded-Proto', 'http')
  const capturedHost = authority ?? hosts[0]?.[1] ?? ''
  if (capturedHost !== '') addWhereAbsent('X-Forwarded-Host', capturedHost)
  fields.push(['X-Mirrorshard', '1'])

  if (engine === 'undici') {
    // Its own order: host and connection first, the length last and as plain as can be.
    fields = fields.filter((field) => !is(field, 'host') && !is(field, 'content-length'))
    fields.unshift(['host', originHost], ['connection', 'keep-alive'])
    if (body.length > 0 || ALWAYS_WITH_LENGTH.includes(method)) fields.push(['content-length', String(body.length)])
  }
  return { method, target, headers: fields, body }
}
