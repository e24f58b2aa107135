/** Request targets (RFC 9112 section 3.2): what is sent to the origin, and the path that filters look at. */
import type { MessageView } from '../../exchange/message.ts'

export interface OriginForm {
  /** Starts with `/`, or is `*`. */
  readonly target: string
  /** host[:port] of an absolute-form target, without userinfo; null for the other forms. */
  readonly authority: string | null
}

/**
 * A captured target as it is sent to an origin. Absolute-form becomes origin-form (`http://h/x?y` is `/x?y`, `http://h` is `/`):
 * the destination comes from configuration only. `OPTIONS http://h` means the server itself and becomes `*` (section 3.2.4).
 *
 * @returns null for what is neither origin-form, `*` nor an http(s) URL
 */
export function toOriginForm(method: string, target: string): OriginForm | null {
  if (target.charCodeAt(0) === SLASH || target === '*') return { target, authority: null }
  const scheme = /^https?:\/\//i.exec(target)
  if (scheme === null) return null
  const authorityAt = scheme[0].length
  const length = target.slice(authorityAt).search(/[/?#]/)
  const end = length < 0 ? target.length : authorityAt + length
  const userinfoAt = target.lastIndexOf('@', end)
  const authority = target.slice(userinfoAt >= authorityAt ? userinfoAt + 1 : authorityAt, end)
  if (!AUTHORITY.test(authority) || target.lastIndexOf('@', userinfoAt - 1) >= authorityAt) return null
  const rest = target.slice(end)
  if (rest === '') return { target: method === 'OPTIONS' ? '*' : '/', authority }
  return { target: rest.charCodeAt(0) === SLASH ? rest : `/${rest}`, authority }
}

/** Path and query of a captured target: what --allow-path and --deny-path search. */
export function pathAndQueryOf(method: string, captured: string): string {
  return captured.charCodeAt(0) === SLASH ? captured : (toOriginForm(method, captured)?.target ?? captured)
}

/**
 * The host that a request is for, in lower case, with its port where one is stated: of an absolute-form or authority-form target, else of the
 * Host header (RFC 9112 section 3.3). Null: it names none.
 */
export function hostOf(request: MessageView): string | null {
  const [method, target] = [request.method(), request.target()]
  if (method === 'CONNECT') return target.toLowerCase()
  const authority = target.charCodeAt(0) === SLASH ? null : (toOriginForm(method, target)?.authority ?? null)
  if (authority !== null) return authority.toLowerCase()
  for (let i = 0; i < request.fieldCount; i++)
    if (request.fieldName(i).toLowerCase() === 'host') return request.fieldValue(i).toLowerCase()
  return null
}

/** The path of a captured target, without query and fragment: what --include and --exclude match. */
export function pathOf(method: string, captured: string): string {
  const target = pathAndQueryOf(method, captured)
  const end = target.search(/[?#]/)
  return end < 0 ? target : target.slice(0, end)
}

const SLASH = 47
/**
 * What a host[:port] may consist of (RFC 3986 section 3.2.2), obs-text too. Not more: with `http://a\b`, or with two `@` before the
 * host, URL parsers disagree about where the path begins, or which host is meant.
 */
const AUTHORITY = /^[\w.~!$&'()*+,;=:%[\]\x80-\xff-]+$/
