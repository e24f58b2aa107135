/**
 * Why the origin could not be reached, in a form that crosses a thread: the main thread tells it. Codes and names only: nothing of a request is in it.
 */
import { OUTCOME_NAMES } from '../../base/drop.ts'

export interface Unreached {
  /** An outcome's name: refused, unreachable, tls, connectTimeout or reset. */
  readonly outcome: string
  /** ECONNREFUSED, ENOTFOUND, CERT_HAS_EXPIRED, …; null where nobody named one. */
  readonly code: string | null
  /** Which check of the certificate failed, where the code does not say; else null. */
  readonly detail: string | null
}

/** A certificate may name hundreds of hosts. */
const MOST_DETAIL = 200

/** @param cause an Error of node:net, node:dns, node:tls or OpenSSL, of undici, or null */
export function unreachedBy(outcome: number, cause: unknown): Unreached {
  const { code, reason } = (cause ?? {}) as { readonly code?: unknown; readonly reason?: unknown }
  // undici has names of its own for what the system said.
  const isKnown = typeof code === 'string' && !code.startsWith('UND_')
  const hasReason = code === 'ERR_TLS_CERT_ALTNAME_INVALID' && typeof reason === 'string'
  return {
    outcome: OUTCOME_NAMES[outcome] ?? '',
    code: isKnown ? code : null,
    detail: hasReason ? reason.slice(0, MOST_DETAIL) : null,
  }
}
