/** Opens one TCP or TLS connection to the origin and says why it could not. */
import net from 'node:net'
import tls from 'node:tls'
import { Outcome } from '../../base/drop.ts'
import type { OriginOptions } from './engine.ts'

/** A failure that already knows its outcome: of connecting, or given to `socket.destroy` by a time-out. */
export class OriginFault extends Error {
  override readonly name = 'OriginFault'
  readonly outcome: number
  constructor(outcome: number, cause?: unknown) {
    super(cause instanceof Error ? cause.message : 'gave up on the origin', cause === undefined ? undefined : { cause })
    this.outcome = outcome
  }
}

/** Parsed once per engine; connecting is once per connection. */
export class OriginAddress {
  /** Without brackets. */
  readonly hostname: string
  readonly port: number
  readonly isTls: boolean
  private readonly tlsOptions: tls.ConnectionOptions
  /**
   * Last TLS session the origin gave, so that later connections resume it. Node holds the event back until the certificate was found right: a
   * resumed session is not checked for its name again (test/sinks/replay/tls-origin.test.ts).
   */
  private session: Buffer | undefined
  /** Connections of which the origin asked for a client certificate and did not yet say that it continues. */
  private readonly unconfirmed = new WeakSet<net.Socket>()

  constructor(options: OriginOptions) {
    const { origin } = options
    this.hostname = origin.hostname.replace(/^\[|\]$/g, '')
    this.isTls = origin.protocol === 'https:'
    this.port = origin.port === '' ? (this.isTls ? 443 : 80) : Number(origin.port)
    const serverName = options.tlsServerName ?? (net.isIP(this.hostname) === 0 ? this.hostname : null)
    this.tlsOptions = {
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: options.tlsInsecure !== true,
      // Also where the environment (NODE_OPTIONS) lowers Node's own default. RFC 8996: what is older must not be used.
      minVersion: 'TLSv1.2',
      // An address is not a server name (RFC 6066 section 3).
      ...(serverName === null ? {} : { servername: serverName }),
      ...(options.tlsCa === undefined ? {} : { ca: options.tlsCa }),
      ...(options.tlsCert === undefined ? {} : { cert: options.tlsCert }),
      ...(options.tlsKey === undefined ? {} : { key: options.tlsKey }),
    }
  }

  /**
   * @param done called once, never from inside `connect`: with a connected socket, or with the reason
   * @param onread takes all bytes the origin sends, without events; `tls.connect` has it too
   * @returns the socket while it connects: `destroy(new OriginFault(…))` gives up
   */
  connect(done: (fault: OriginFault | null, socket: net.Socket | null) => void, onread?: net.OnReadOpts): net.Socket {
    const to = {
      host: this.hostname,
      port: this.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      ...(onread === undefined ? {} : { onread }),
    }
    let isDone = false
    let isTcpUp = false
    const finish = (error: Error | null) => {
      if (isDone) return
      isDone = true
      if (error === null) done(null, socket)
      else done(error instanceof OriginFault ? error : new OriginFault(connectOutcome(error, isTcpUp), error), null)
    }
    const socket: net.Socket = this.isTls
      ? tls.connect({ ...to, ...this.tlsOptions, ...(this.session === undefined ? {} : { session: this.session }) })
      : net.connect(to)
    socket.once('connect', () => {
      isTcpUp = true
      if (!this.isTls) finish(null)
    })
    if (this.isTls) {
      socket.once('secureConnect', () => {
        if (asksForCertificate(socket as tls.TLSSocket)) this.unconfirmed.add(socket)
        finish(null)
      })
      socket.on('session', (session: Buffer) => {
        this.session = session
        this.unconfirmed.delete(socket)
      })
    }
    // Stays: an error after the hand-over belongs to the engine, which listens too.
    socket.on('error', finish)
    // A handshake the origin ends with FIN brings no error on every version of Node.
    socket.once('close', () => finish(new Error('closed while connecting')))
    return socket
  }

  /**
   * Whether a connection that closed without a byte of its first answer was most likely closed for want of a client certificate, or for the one it got.
   * In TLS 1.3 our half of the handshake is over before the origin looks at it (RFC 8446 section 4.4.2.4), and the close may overtake its alert.
   * A session ticket (section 4.6.1) comes after the look.
   */
  wasRefused(socket: net.Socket): boolean {
    return this.unconfirmed.has(socket)
  }
}

/** Only a CertificateRequest brings the origin's signature algorithms. In TLS 1.2 the handshake ends with the origin's word. */
function asksForCertificate(socket: tls.TLSSocket): boolean {
  return socket.getProtocol() === 'TLSv1.3' && socket.getSharedSigalgs().length > 0
}

/** @param isTcpUp the failure came after the TCP handshake, that is in the TLS one */
function connectOutcome(error: Error, isTcpUp: boolean): number {
  if (isTcpUp) return Outcome.tls
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ECONNREFUSED':
      return Outcome.refused
    case 'ETIMEDOUT':
      return Outcome.connectTimeout
    case 'ECONNRESET':
      return Outcome.reset
    default:
      return Outcome.unreachable
  }
}
