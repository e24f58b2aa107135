/**
 * Who may ask the admin server. Checked for each request, in this order:
 *
 * 1. Host names this server: a page in a browser must not reach it through a name that its author controls (DNS rebinding).
 * 2. What changes something does not come from a page at all: there is no page of ours.
 * 3. The token, where there is one. /healthz alone answers without it: it says one word, and probes carry no secrets.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export interface AdminAccessOptions {
  /** Null: anybody who reaches the address may ask, which is why it is on loopback then. */
  readonly token: string | null
  /** Names in Host that are taken besides loopback's and the address itself; lower case, without a port. */
  readonly hosts: readonly string[]
}

export interface Denial {
  readonly status: 401 | 403
  readonly text: string
}

/** 24 hexadecimal digits are 96 bits: out of reach for guessing, however long and fast. */
export const MIN_TOKEN_CHARACTERS = 24
/** token68 of RFC 9110 section 11.2: what may stand after `Bearer`. */
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/** @returns why a text will not do as token, or null */
export function tokenFault(token: string): string | null {
  if (!TOKEN68.test(token)) return 'a token is one line of letters, digits and . _ ~ + / - (RFC 9110 token68)'
  if (token.length >= MIN_TOKEN_CHARACTERS) return null
  return `the token has ${token.length} characters, at least ${MIN_TOKEN_CHARACTERS} are needed: openssl rand -hex 32 makes one`
}

export class AdminAccess {
  private readonly tokenHash: Buffer | null
  private readonly hosts: ReadonlySet<string>

  constructor({ token, hosts }: AdminAccessOptions) {
    this.tokenHash = token === null ? null : sha256(token)
    this.hosts = new Set(hosts)
  }

  /** Null: the request may be answered. */
  check(request: IncomingMessage, path: string): Denial | null {
    const { headers, method, socket } = request
    if (!this.isOurs(headers.host, socket.localAddress)) {
      return { status: 403, text: 'the Host header names another server; --admin-host takes further names\n' }
    }
    if (method !== 'GET' && method !== 'HEAD' && comesFromPage(headers)) {
      return { status: 403, text: 'not from a page in a browser\n' }
    }
    if (this.tokenHash === null || path === '/healthz') return null
    if (this.isToken(headers.authorization)) return null
    return { status: 401, text: 'this needs Authorization: Bearer with the token of --admin-token-file\n' }
  }

  /** HTTP/1.0 has no Host, and no browser speaks it. */
  private isOurs(host: string | undefined, localAddress: string | undefined): boolean {
    if (host === undefined) return true
    const name = host
      .replace(/:\d*$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase()
    if (name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)) return true
    // An address is not a name: nobody can make it lead elsewhere.
    if (localAddress !== undefined && name === localAddress.replace(/^::ffff:(?=\d+\.)/i, '').toLowerCase()) return true
    return this.hosts.has(name)
  }

  /** Hashes are compared, not texts: they are of one length, and the time taken tells nothing about the token. */
  private isToken(authorization: string | undefined): boolean {
    const given = BEARER.exec(authorization ?? '')?.[1]
    return given !== undefined && timingSafeEqual(sha256(given), this.tokenHash!)
  }
}

/** Browsers set these and pages cannot take them away (Fetch standard: forbidden request headers). */
function comesFromPage(headers: IncomingMessage['headers']): boolean {
  const site = headers['sec-fetch-site']
  return headers.origin !== undefined || (site !== undefined && site !== 'none')
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
