/** Why an origin cannot be reached, in words and with what to look at. */
import type { Unreached } from '../../sinks/replay/unreached.ts'
import type { EventName } from '../log-events.ts'

const SYSTEM: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ECONNRESET: 'it resets new connections',
  EPIPE: 'it closes new connections',
  ETIMEDOUT: 'it does not answer connection attempts',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to its network',
  EACCES: 'a firewall on this machine forbids it',
  EPERM: 'a firewall on this machine forbids it',
  EADDRNOTAVAIL: 'no local address or port is free',
  EMFILE: 'this process has no file descriptor free',
  ENFILE: 'this machine has no file descriptor free',
  ENOTFOUND: 'its name is not found',
  EAI_AGAIN: 'its name cannot be resolved now: the resolver does not answer',
  EAI_FAIL: 'its name cannot be resolved: the resolver refuses',
  EAI_NODATA: 'its name has no address',
}

const TLS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed; name it in --tls-ca to trust it',
  SELF_SIGNED_CERT_IN_CHAIN: 'the root of its certificate is not trusted; name that CA in --tls-ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the issuer of its certificate is unknown; it may not send its intermediate CA',
  UNABLE_TO_GET_ISSUER_CERT: 'the issuer of its certificate is unknown; name the CA in --tls-ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the issuer of its certificate is unknown; name the CA in --tls-ca',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; or the clock here is wrong',
  CERT_REVOKED: 'its certificate is revoked',
  CERT_SIGNATURE_FAILURE: 'the signature of its certificate is wrong',
  INVALID_CA: 'a CA of its certificate may not be one',
  INVALID_PURPOSE: 'its certificate is not meant for servers',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name; --tls-server-name says which to ask for',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS on this port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS on this port',
  ERR_SSL_HTTP_REQUEST: 'it does not speak TLS on this port',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it offers no TLS 1.2 or later',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it accepts none of our TLS versions (1.2 and later)',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'it shares no cipher with us, or wants a client certificate (--tls-cert)',
  ERR_SSL_SSL_TLS_ALERT_HANDSHAKE_FAILURE: 'it shares no cipher with us, or wants a client certificate (--tls-cert)',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it wants a client certificate (--tls-cert)',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not trust the CA of our certificate (--tls-cert)',
  ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR:
    'it failed in the handshake; it may not know the name asked for (--tls-server-name)',
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: 'it does not know the name asked for (--tls-server-name)',
}

/** Where nobody named a code. */
const OUTCOMES: Readonly<Record<string, string>> = {
  refused: 'connection refused',
  unreachable: 'it cannot be reached',
  tls: 'it ends the handshake, perhaps for want of a client certificate (--tls-cert)',
  connectTimeout: 'no connection within --connect-timeout-ms',
  reset: 'it closes new connections without an answer',
}

/** One line without a full stop. The code is kept for searching. */
export function whyUnreached({ outcome, code, detail }: Unreached): string {
  const isTls = outcome === 'tls'
  const words = (code === null ? null : isTls ? TLS[code] : SYSTEM[code]) ?? OUTCOMES[outcome] ?? outcome
  const named = code === null ? '' : ` (${code}${detail === null ? '' : `: ${detail.replace(/[.:\s]+$/, '')}`})`
  return `${words}${named}`
}

export function eventOfUnreached({ outcome, code }: Unreached): EventName {
  if (outcome === 'tls') return 'origin-tls'
  return code === 'ENOTFOUND' || code?.startsWith('EAI_') === true ? 'origin-name' : 'origin-down'
}
